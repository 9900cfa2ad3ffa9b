import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CreateTask } from './tasks.ts'

const task = (trainer: Record<string, unknown>) => ({
  name: 'digits',
  model: { model: '0190b5a0-0000-7000-8000-000000000001' },
  trainer,
  cohort: { dataset: 'digits' },
})

test('a task without training options keeps exactly the settings it had before there were any', () => {
  assert.deepEqual(Object.keys(CreateTask.parse(task({})).trainer), [
    'framework',
    'localEpochs',
    'batchSize',
    'learningRate',
    'optimizer',
    'loss',
  ])
})

test('options that the optimiser or the loss does not read are refused by name', () => {
  const read = { optimizer: 'adam', beta1: 0.8, weightDecay: 0.1, loss: 'huber', huberDelta: 2, proximal: 0.1 }
  assert.equal(CreateTask.parse(task(read)).trainer.huberDelta, 2)
  const faults = CreateTask.safeParse(task({ momentum: 0.9, huberDelta: 2, beta2: 0.9, ignoreIndex: -1 })).error?.issues
  assert.deepEqual(
    faults?.map(({ path }) => path.join('.')),
    ['trainer.momentum', 'trainer.beta2', 'trainer.huberDelta'],
  )
})

test('a framework is named once', () => {
  const several = { framework: 'pytorch', otherFrameworks: ['keras', 'onnx'] }
  assert.deepEqual(CreateTask.parse(task(several)).trainer.otherFrameworks, ['keras', 'onnx'])
  const faults = CreateTask.safeParse(task({ otherFrameworks: ['keras', 'onnx', 'keras'] })).error?.issues
  assert.deepEqual(
    faults?.map(({ path }) => path.join('.')),
    ['trainer.otherFrameworks.1', 'trainer.otherFrameworks.2'],
  )
})

test('options out of range are refused', () => {
  for (const wrong of [{ momentum: 1, optimizer: 'momentum' }, { weightDecay: -1 }, { proximal: Number.NaN }]) {
    assert.equal(CreateTask.safeParse(task(wrong)).success, false)
  }
})
