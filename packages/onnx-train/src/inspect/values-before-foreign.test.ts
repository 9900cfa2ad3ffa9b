import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { ModelProtoSchema } from '../gen/onnx_pb.ts'
import { valuesBeforeForeign } from './values-before-foreign.ts'

const read = (name: string): Uint8Array => readFileSync(new URL(`../../fixtures/exports/${name}.onnx`, import.meta.url))

test('a classifier of scikit-learn can be trained up to its probabilities', () => {
  assert.deepEqual(valuesBeforeForeign(read('skl2onnx-mlp')), ['out_activations_result'])
})

test('where only the best class goes on, its scores are named', () => {
  const model = fromBinary(ModelProtoSchema, read('skl2onnx-mlp'))
  const { graph } = model
  assert.ok(graph)
  // As the converter writes it without dictionaries of probabilities.
  graph.node = graph.node.filter(({ opType }) => opType !== 'ZipMap')
  assert.deepEqual(valuesBeforeForeign(toBinary(ModelProtoSchema, model)), ['out_activations_result'])
})

test('before a forest there is nothing, and a network has no such place', () => {
  assert.deepEqual(valuesBeforeForeign(read('skl2onnx-random-forest')), [])
  assert.deepEqual(valuesBeforeForeign(read('torch-script-17-cnn')), [])
})
