import assert from 'node:assert/strict'
import { test } from 'node:test'
import { modelOf, node, randomTensor } from '@tributary/onnx-train/testing/model-of'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { OnnxTrainer } from './onnx-trainer.ts'
import type { Examples } from './trainer.ts'

const [width, classes, examples, batchSize, learningRate] = [4, 3, 23, 10, 0.5]

/** Softmax regression by its definition, in doubles; the last batch of an epoch is as small as it is. */
const byDefinition = (
  start: Float32Array,
  rowAt: (row: number) => number[],
  labels: Int32Array,
  orders: Int32Array[],
) => {
  const weights = Float64Array.from(start)
  const losses: number[] = []
  for (const order of orders) {
    for (let from = 0; from < order.length; from += batchSize) {
      const batch = order.subarray(from, from + batchSize)
      const gradient = new Float64Array(weights.length)
      for (const row of batch) {
        const x = rowAt(row)
        const scores = Array.from({ length: classes }, (_, c) =>
          x.reduce((sum, value, i) => sum + value * (weights[i * classes + c] ?? 0), 0),
        )
        const total = scores.reduce((sum, score) => sum + Math.exp(score), 0)
        losses.push(Math.log(total) - (scores[labels[row] ?? 0] ?? 0))
        for (const [c, score] of scores.entries()) {
          const error = Math.exp(score) / total - (labels[row] === c ? 1 : 0)
          for (const [i, value] of x.entries())
            gradient[i * classes + c] = (gradient[i * classes + c] ?? 0) + value * error
        }
      }
      for (const [index, slope] of gradient.entries()) {
        weights[index] = (weights[index] ?? 0) - (learningRate * slope) / batch.length
      }
    }
  }
  return { weights, meanLoss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length }
}

const bytes = Uint8Array.from({ length: examples * width }, (_, index) => (index * 37) % 256)
const floats = Float32Array.from(bytes, byte => byte / 255)
const labels = Int32Array.from({ length: examples }, (_, row) => (row * 2) % classes)
const rowAt = (row: number): number[] => [...floats.subarray(row * width, (row + 1) * width)]
const start = randomTensor('float32', [width, classes], 1).data as Float32Array
const model = modelOf('float32', [width], { w: { dtype: 'float32', shape: [width, classes], data: start } }, [
  node('MatMul', ['x', 'w'], 'y'),
])
const orders = [0, 1].map(epoch => Int32Array.from({ length: examples }, (_, index) => (index * 5 + epoch) % examples))

const kinds: [string, Examples['features']][] = [
  ['floats', floats],
  ['bytes that are scaled', { bytes, scale: 255 }],
]
for (const [kind, features] of kinds) {
  test(`23 examples in batches of 10 train as the definition does, the last batch as one of 3: ${kind}`, async () => {
    await using trainer = new OnnxTrainer()
    const settings = {
      localEpochs: 2,
      batchSize,
      learningRate,
      optimizer: 'sgd',
      loss: 'softmax-cross-entropy',
    } as const
    const graph = writeModel(withoutWeights(model))
    const trained = await trainer.train({ graph, weights: start, data: { features, labels }, settings, orders })
    const expected = byDefinition(start, rowAt, labels, orders)
    assert.equal(trained.steps, 6)
    assert.equal(trained.examplesSeen, 46)
    assert.ok(Math.abs(trained.meanLoss - expected.meanLoss) < 1e-6, `${trained.meanLoss} and ${expected.meanLoss}`)
    for (const [index, weight] of trained.weights.entries()) {
      assert.ok(Math.abs(weight - (expected.weights[index] ?? 0)) < 1e-6, `weight ${index}: ${weight}`)
    }
  })
}

test('bytes and the floats that they stand for train to the same bytes', async () => {
  await using trainer = new OnnxTrainer()
  const settings = {
    localEpochs: 2,
    batchSize,
    learningRate,
    optimizer: 'adam',
    loss: 'softmax-cross-entropy',
  } as const
  const graph = writeModel(withoutWeights(model))
  const run = (features: Examples['features']) =>
    trainer.train({ graph, weights: start, data: { features, labels }, settings, orders })
  assert.deepEqual((await run({ bytes, scale: 255 })).weights, (await run(floats)).weights)
})

test('a data source is read once while it is used, and again after its place was taken', async () => {
  await using trainer = new OnnxTrainer()
  const graph = writeModel(withoutWeights(model))
  let reads = 0
  const source = () => ({
    examples,
    read: async () => {
      reads++
      return { features: floats.slice(), labels: labels.slice() }
    },
  })
  const evaluate = (data: ReturnType<typeof source>) =>
    trainer.evaluate({ graph, weights: start, data, loss: 'softmax-cross-entropy' })
  const [first, second, third] = [source(), source(), source()]
  const { lossSum } = await evaluate(first)
  await evaluate(first)
  assert.equal(reads, 1)
  await evaluate(second)
  await evaluate(third)
  assert.equal((await evaluate(first)).lossSum, lossSum)
  assert.equal(reads, 4)
})
