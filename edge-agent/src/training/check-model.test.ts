import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { extractWeights } from '@tributary/onnx-train/extract-weights'
import { mcmahanCnn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import { modelOf, node } from '@tributary/onnx-train/testing/model-of'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { OnnxTrainer } from './onnx-trainer.ts'
import { TrainingError } from './training-error.ts'

let trainer: OnnxTrainer
before(() => {
  trainer = new OnnxTrainer()
})
after(() => trainer[Symbol.asyncDispose]())

const cnn = () => {
  const model = readModel(mcmahanCnn(1), { maxBytes: 1e8 })
  const parts = extractWeights(model).tensors.map(tensor => new Float32Array(tensor.bytes.slice().buffer))
  return { graph: writeModel(withoutWeights(model)), weights: Float32Array.from(parts.flatMap(part => [...part])) }
}

test('a model that predicts numbers passes, one with a weight that is none does not', async () => {
  const { graph, weights } = cnn()
  assert.equal(await trainer.check({ graph, weights }), true)
  const broken = weights.slice()
  broken[5] = Number.NaN
  assert.equal(await trainer.check({ graph, weights: broken }), false)
  assert.equal(await trainer.check({ graph, weights }), true, 'the worker goes on')
})

test('a model whose numbers overflow does not pass', async () => {
  const w = { dtype: 'float32' as const, shape: [1, 1], data: Float32Array.of(0) }
  const model = modelOf('float32', [1], { w }, [node('MatMul', ['x', 'w'], 'z'), node('Exp', ['z'], 'y')])
  const graph = writeModel(withoutWeights(model))
  assert.equal(await trainer.check({ graph, weights: Float32Array.of(1) }), true)
  assert.equal(await trainer.check({ graph, weights: Float32Array.of(1e30) }), false)
})

test('weights that do not fit the graph, and bytes that are no model, are refused by name', async () => {
  const { graph, weights } = cnn()
  const refused = (code: string) => (error: unknown) => error instanceof TrainingError && error.code === code
  await assert.rejects(trainer.check({ graph, weights: weights.slice(1) }), refused('WEIGHTS_MISMATCH'))
  await assert.rejects(trainer.check({ graph: Uint8Array.of(1, 2, 3), weights }), refused('MODEL_UNSUPPORTED'))
})
