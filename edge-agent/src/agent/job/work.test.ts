import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { type TrainingWork, TrainingWorkSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { attempt, bundle, evaluationWork, trainingWork } from '../../testing/federation.ts'
import { trainingSettingsOf } from '../../training/graph-options.ts'
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

  test('brings every training option over the wire, and none that the task does not set', () => {
    const overTheWire = (work: TrainingWork) =>
      trainingSettingsOf(
        readTrainingWork(fromBinary(TrainingWorkSchema, toBinary(TrainingWorkSchema, work)), most).trainer,
      )
    const plain = { localEpochs: 1, batchSize: 10, learningRate: 0.1, optimizer: { kind: 'sgd' } } as const
    const none = { gradientClippingNorm: undefined, proximal: undefined }
    assert.deepEqual(overTheWire(trainingWork()), { ...plain, ...none, loss: { kind: 'softmax-cross-entropy' } })
    const work = trainingWork()
    const options = { optimizer: 'adamw', beta1: 0.5, beta2: 0.6, epsilon: 0, weightDecay: 0.3, proximal: 0.25 }
    Object.assign(work.trainer ?? {}, options, { gradientClippingNorm: 2, labelSmoothing: 0.5, ignoreIndex: -100 })
    assert.deepEqual(overTheWire(work), {
      ...plain,
      optimizer: { kind: 'adamw', beta1: 0.5, beta2: 0.6, epsilon: 0, weightDecay: 0.3 },
      loss: { kind: 'softmax-cross-entropy', labelSmoothing: 0.5, ignoreIndex: -100 },
      gradientClippingNorm: 2,
      proximal: 0.25,
    })
    const other = trainingWork()
    Object.assign(other.trainer ?? {}, { loss: 'huber', huberDelta: 3, momentum: 0.5, optimizer: 'nesterov' })
    assert.deepEqual(overTheWire(other), {
      ...plain,
      ...none,
      optimizer: { kind: 'nesterov', momentum: 0.5 },
      loss: { kind: 'huber', delta: 3 },
    })
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
