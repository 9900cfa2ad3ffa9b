import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { valuesBeforeForeign } from './values-before-foreign.ts'

const read = (name: string): Uint8Array => readFileSync(new URL(`../../fixtures/exports/${name}.onnx`, import.meta.url))

test('a classifier of scikit-learn can be trained up to its probabilities', () => {
  assert.deepEqual(valuesBeforeForeign(read('skl2onnx-mlp')), ['out_activations_result'])
})

test('before a forest there is nothing, and a network has no such place', () => {
  assert.deepEqual(valuesBeforeForeign(read('skl2onnx-random-forest')), [])
  assert.deepEqual(valuesBeforeForeign(read('torch-script-17-cnn')), [])
})
