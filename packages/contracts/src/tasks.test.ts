import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CreateTask } from './tasks.ts'

const model = '01900000-0000-7000-8000-000000000001'
const least = { name: 'digits', model: { model }, cohort: { dataset: 'mnist' } }

test('a task of a name, a model and a data set has these settings', () => {
  assert.deepEqual(CreateTask.parse(least), {
    name: 'digits',
    model: { model },
    rounds: 10,
    trainer: {
      framework: 'onnx',
      localEpochs: 1,
      batchSize: 32,
      learningRate: 0.05,
      optimizer: 'sgd',
      loss: 'softmax-cross-entropy',
    },
    aggregation: { rule: 'weighted-mean', weightCap: 65_536, clippingNorm: null, regionalRounds: 1 },
    serverOptimizer: { name: 'none', learningRate: 1 },
    cohort: {
      dataset: 'mnist',
      groups: [],
      minimumExamples: 1,
      size: { goal: null, fraction: 1, minimumToStart: 1, quorum: 1, overSelection: 1.3 },
    },
    regions: [],
    deadlines: { selectionSeconds: 30, roundSeconds: 600 },
    attempts: 3,
    evaluation: { dataset: null, deadlineSeconds: 120, cohortShare: 0 },
    stop: {},
    priority: 5,
    start: true,
  })
})

test('one setting leaves the defaults beside it', () => {
  const { trainer, cohort } = CreateTask.parse({
    ...least,
    trainer: { localEpochs: 5 },
    cohort: { dataset: 'mnist', size: { goal: 100 } },
  })
  assert.deepEqual([trainer.localEpochs, trainer.batchSize], [5, 32])
  assert.deepEqual([cohort.size.goal, cohort.size.quorum], [100, 1])
})

test('settings out of range, and fields that do not exist, are refused where they are', () => {
  const wrong: [path: string, change: object][] = [
    ['name', { name: ' ' }],
    ['rounds', { rounds: 0 }],
    ['rounds', { rounds: 1.5 }],
    ['model.model', { model: { model: 'x' } }],
    ['trainer.learningRate', { trainer: { learningRate: 0 } }],
    ['trainer.batchSize', { trainer: { batchSize: 65_537 } }],
    ['aggregation.weightCap', { aggregation: { weightCap: 2 ** 24 + 1 } }],
    ['aggregation.clippingNorm', { aggregation: { clippingNorm: Number.POSITIVE_INFINITY } }],
    ['cohort.size.fraction', { cohort: { dataset: 'mnist', size: { fraction: 0 } } }],
    ['cohort.size.overSelection', { cohort: { dataset: 'mnist', size: { overSelection: 0.9 } } }],
    ['cohort.dataset', { cohort: { dataset: '../mnist' } }],
    ['seed', { seed: 2 ** 32 }],
    ['regions.0', { regions: ['North'] }],
    ['attempts', { attempts: 101 }],
    ['', { round: 3 }],
    ['trainer', { trainer: { epochs: 3 } }],
  ]
  for (const [path, change] of wrong) {
    const { error } = CreateTask.safeParse({ ...least, ...change })
    assert.deepEqual(
      error?.issues.map(issue => issue.path.join('.')),
      [path],
      JSON.stringify(change),
    )
  }
})
