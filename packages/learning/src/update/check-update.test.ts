import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Manifest, type ManifestTensor } from '@tributary/tensors/manifest'
import { bytesOf } from '@tributary/tensors/view'
import type { SumRule } from '../exact-sum/sum-rule.ts'
import { checkUpdate, UpdateCheck } from './check-update.ts'
import { clipLocalDelta, globalNorm } from './clipping-norm.ts'
import { deltaOf } from './delta.ts'
import { encodeUpdate } from './update-body.ts'
import { updateWeight } from './weight.ts'

const manifest = Manifest.parse({
  format: 'tributary.manifest/1',
  tensors: [
    { name: 'a', dtype: 'F32', shape: [2], policy: 'average' },
    { name: 'mean', dtype: 'F32', shape: [1], policy: 'average', buffer: true },
    { name: 'b', dtype: 'F64', shape: [1], policy: 'average' },
    { name: 'seen', dtype: 'BOOL', shape: [2], policy: 'max' },
    { name: 'top', dtype: 'F32', shape: [1], policy: 'max' },
  ],
  inputs: [],
  outputs: [],
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
})

const rule: SumRule = {
  weighting: 'examples',
  weightCap: 1000,
  maxUpdates: 10,
  bound: 8,
  bufferBound: 64,
  clippingNorm: 5,
}

const good = { a: [0, -3], mean: [64], b: [4], seen: [0, 1], top: [1e30] }

function check(change: Partial<typeof good>, useRule = rule) {
  const { a, mean, b, seen, top } = { ...good, ...change }
  const content = new Map([
    ['a', bytesOf(Float32Array.from(a))],
    ['mean', bytesOf(Float32Array.from(mean))],
    ['b', bytesOf(Float64Array.from(b))],
    ['seen', Uint8Array.from(seen)],
    ['top', bytesOf(Float32Array.from(top))],
  ])
  return checkUpdate(encodeUpdate(manifest, content), manifest, useRule)
}

test('the norm is that of all deltas but the buffers', () => {
  assert.equal(check({}).norm, 5)
})

test('NaN and infinity are refused, tensor named', () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    for (const name of ['a', 'mean', 'b', 'top'] as const) {
      const change = { [name]: name === 'a' ? [0, value] : [value] }
      assert.throws(() => check(change), { name: 'InvalidUpdateError', code: 'NOT_FINITE', tensor: name })
    }
  }
})

test('a value at the bound passes, the next float beyond it does not', () => {
  const unclipped = { ...rule, clippingNorm: null }
  check({ a: [8, -8], b: [-8], mean: [-64] }, unclipped)
  assert.throws(() => check({ a: [8 + 2 ** -20, 0] }, unclipped), { code: 'OUT_OF_RANGE', tensor: 'a' })
  assert.throws(() => check({ b: [-8 - 2 ** -49] }, unclipped), { code: 'OUT_OF_RANGE', tensor: 'b' })
  assert.throws(() => check({ mean: [65] }, unclipped), { code: 'OUT_OF_RANGE', tensor: 'mean' })
  assert.throws(() => check({ seen: [0, 2] }, unclipped), { code: 'OUT_OF_RANGE', tensor: 'seen' })
})

test('a norm beyond the clipping norm is refused, rounding forgiven', () => {
  check({ b: [4.006] })
  assert.throws(() => check({ b: [4.0075] }), { code: 'NORM_EXCEEDED', tensor: null })
})

test('the norm does not depend on how a tensor is sliced', () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => Math.fround(Math.sin(i)))
  const tensor: ManifestTensor = { name: 'a', dtype: 'F32', shape: [1000], policy: 'average' }
  const norms = [1000, 333, 1].map(length => {
    const slices = new UpdateCheck({ ...rule, clippingNorm: null })
    for (let i = 0; i < 1000; i += length) slices.addSlice(tensor, bytesOf(values.subarray(i, i + length)))
    return slices.finish(manifest)
  })
  assert.deepEqual(norms, Array(3).fill(globalNorm([values])))
})

test('a device clips to the norm and no further', () => {
  const delta = [Float32Array.of(6, 0), Float64Array.of(-8)]
  assert.equal(clipLocalDelta(delta, 5), 10)
  assert.deepEqual(delta, [Float32Array.of(3, 0), Float64Array.of(-4)])
  assert.equal(clipLocalDelta(delta, 5), 5)
  assert.deepEqual(delta, [Float32Array.of(3, 0), Float64Array.of(-4)])
  const small = [Float32Array.of(0.5)]
  assert.equal(clipLocalDelta(small, 5), 0.5)
  assert.deepEqual(small, [Float32Array.of(0.5)])
  assert.throws(() => clipLocalDelta([Float32Array.of(NaN)], 1), { code: 'NOT_FINITE' })
})

test('a delta is the difference, rounded once', () => {
  const base = Float32Array.of(1, 0.1)
  const delta = deltaOf(bytesOf(Float32Array.of(1.5, 0.3)), bytesOf(base), 'F32')
  assert.deepEqual(new Float32Array(delta.buffer), Float32Array.of(0.5, Math.fround(0.3) - Math.fround(0.1)))
})

test('weights are examples up to the cap, or one for each that has any', () => {
  assert.deepEqual(
    [0, 1, 999, 1000, 1_000_000].map(n => updateWeight(n, rule)),
    [0, 1, 999, 1000, 1000],
  )
  assert.deepEqual(
    [0, 1, 1_000_000].map(n => updateWeight(n, { ...rule, weighting: 'uniform' })),
    [0, 1, 1],
  )
  for (const wrong of [-1, 1.5, NaN, 2 ** 53]) {
    assert.throws(() => updateWeight(wrong, rule), { code: 'EXAMPLES_INVALID' })
  }
})
