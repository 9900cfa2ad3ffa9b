import assert from 'node:assert/strict'
import { test } from 'node:test'
import { extractWeights } from './extract-weights.ts'
import { mcmahan2nn, mcmahanCnn } from './models/mcmahan.ts'
import { parametersOf } from './parameters.ts'
import { readModel } from './read-model.ts'
import { modelOf, node, randomTensor } from './testing/model-of.ts'
import { ortRunner } from './testing/ort-runner.ts'
import { withWeights } from './with-weights.ts'
import { withoutWeights } from './without-weights.ts'
import { writeModel } from './write-model.ts'

const limits = { maxBytes: 1e8 }
const cnn = readModel(mcmahanCnn(3), limits)

test('weights come out in graph order with what a manifest says about them', () => {
  const { tensors, inputs, outputs } = extractWeights(cnn)
  assert.deepEqual(
    tensors.map(({ name, dtype, shape, policy }) => `${name} ${dtype} ${shape.join()} ${policy}`),
    [
      'conv1.weight F32 32,1,5,5 average',
      'conv1.bias F32 32 average',
      'conv2.weight F32 64,32,5,5 average',
      'conv2.bias F32 64 average',
      'hidden.weight F32 512,3136 average',
      'hidden.bias F32 512 average',
      'classifier.weight F32 10,512 average',
      'classifier.bias F32 10 average',
    ],
  )
  assert.deepEqual(inputs, [{ name: 'image', dtype: 'F32', shape: [null, 1, 28, 28] }])
  assert.deepEqual(outputs, [{ name: 'probabilities', dtype: 'F32', shape: [null, 10] }])
  assert.equal(tensors[0]?.bytes.length, 32 * 25 * 4)
})

test('a graph without its weights is small, keeps its parameters and takes them back byte for byte', () => {
  const bare = writeModel(withoutWeights(cnn))
  assert.ok(bare.length < 3000, `${bare.length}`)
  const reread = readModel(bare, limits)
  assert.deepEqual(parametersOf(reread), parametersOf(cnn))
  assert.deepEqual(writeModel(withWeights(reread, extractWeights(cnn).tensors)), mcmahanCnn(3))
  assert.equal(withoutWeights(reread), reread)
  assert.throws(() => extractWeights(reread), { code: 'WEIGHTS_MISMATCH' })
})

test('a runtime runs the graph with new weights, and the bare graph when it is fed them', async () => {
  const model = readModel(mcmahan2nn(1), limits)
  const other = extractWeights(readModel(mcmahan2nn(2), limits)).tensors
  const x = randomTensor('float32', [2, 784], 5)
  const run = async (bytes: Uint8Array, feeds = new Map([['image', x]])) =>
    (await ortRunner(bytes, feeds, ['probabilities'])).get('probabilities')?.data
  const expected = await run(mcmahan2nn(2))
  assert.deepEqual(await run(writeModel(withWeights(model, other))), expected)
  const fed = other.map(({ name, shape, bytes }) => ({
    name,
    tensor: { dtype: 'float32' as const, shape, data: new Float32Array(bytes.slice().buffer) },
  }))
  const feeds = new Map([['image', x], ...fed.map(({ name, tensor }) => [name, tensor] as const)])
  const actual = (await run(writeModel(withoutWeights(model)), feeds)) as Float32Array
  // The runtime multiplies by constant weights with another kernel, so the last bits differ.
  for (const [index, value] of [...((expected ?? []) as Float32Array)].entries()) {
    assert.ok(Math.abs((actual[index] ?? 0) - value) < 1e-6)
  }
  assert.equal(actual.length, 20)
})

test('weights that are not the graph’s are refused', () => {
  const { tensors } = extractWeights(cnn)
  const refused = { code: 'WEIGHTS_MISMATCH' }
  assert.throws(() => withWeights(cnn, tensors.slice(1)), refused)
  assert.throws(() => withWeights(cnn, [...tensors, { ...tensors[0], name: 'more' } as (typeof tensors)[0]]), refused)
  const [first, ...rest] = tensors
  if (first === undefined) return assert.fail()
  assert.throws(() => withWeights(cnn, [{ ...first, shape: [32, 25] }, ...rest]), refused)
  assert.throws(() => withWeights(cnn, [{ ...first, bytes: first.bytes.subarray(4) }, ...rest]), refused)
})

test('scalars and integers are constants, not parameters', () => {
  const scalar = { dtype: 'float32' as const, shape: [], data: Float32Array.of(2) }
  const shape = { dtype: 'int64' as const, shape: [2], data: BigInt64Array.of(-1n, 4n) }
  const w = randomTensor('float32', [4, 4], 1)
  const model = modelOf('float32', [4], { scalar, shape, w }, [
    node('Add', ['x', 'scalar'], 'a'),
    node('Reshape', ['a', 'shape'], 'r'),
    node('MatMul', ['r', 'w'], 'y'),
  ])
  assert.deepEqual(
    parametersOf(model).map(({ name }) => name),
    ['w'],
  )
})
