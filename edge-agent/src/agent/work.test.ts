import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { TrainingWork } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { attempt, bundle, evaluationWork, trainingWork } from '../testing/federation.ts'
import { readEvaluationWork, readTrainingWork } from './work.ts'

const most = 2 ** 24

suite('work from a node', () => {
  test('is read into what the agent relies on', () => {
    const job = readTrainingWork(trainingWork(), most)
    assert.deepEqual(job.attempt, attempt)
    assert.equal(job.weights.bytes, bundle.weights.length)
    assert.equal(job.clippingNorm, null)
    assert.deepEqual([...job.seed], [0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 221, 238, 255])
    assert.equal(readEvaluationWork(evaluationWork(), most).dataset, 'stripes')
  })

  const hostile: [string, (work: TrainingWork) => void, RegExp][] = [
    ['a path as task id', work => Object.assign(work.attempt ?? {}, { task: '../../etc/passwd' }), /attempt\.task/],
    ['round 0', work => Object.assign(work.attempt ?? {}, { round: 0 }), /attempt\.round/],
    ['no attempt', work => Object.assign(work, { attempt: undefined }), /attempt/],
    ['a path as object', work => Object.assign(work.base ?? {}, { sha256: '../x' }), /weights\.sha256/],
    ['a huge model', work => Object.assign(work.base ?? {}, { bytes: 2n ** 63n }), /weights\.bytes/],
    ['a huge manifest', work => Object.assign(work.manifest ?? {}, { bytes: 2n ** 26n }), /manifest\.bytes/],
    ['a path as data set', work => Object.assign(work, { dataset: '../secrets' }), /dataset/],
    [
      'a learning rate that is no number',
      work => Object.assign(work.trainer ?? {}, { learningRate: Number.NaN }),
      /learningRate/,
    ],
    ['a million local epochs', work => Object.assign(work.trainer ?? {}, { localEpochs: 1_000_000 }), /localEpochs/],
    ['a negative norm', work => Object.assign(work.sum ?? {}, { clippingNorm: -1 }), /clippingNorm/],
    ['a short seed', work => Object.assign(work, { seed: '00' }), /seed/],
    ['no token', work => Object.assign(work, { token: '' }), /token/],
  ]
  for (const [what, spoil, place] of hostile) {
    test(`with ${what} is refused, and the place named`, () => {
      const work = trainingWork()
      spoil(work)
      assert.throws(() => readTrainingWork(work, most), { name: 'WorkError', message: place })
    })
  }
})
