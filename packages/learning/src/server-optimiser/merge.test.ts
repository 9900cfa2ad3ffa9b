import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Manifest, weightsLayout } from '@tributary/tensors/manifest'
import { decodeSafetensors, encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf, typedView } from '@tributary/tensors/view'
import fc from 'fast-check'
import { PartMerge } from '../exact-sum/merge.ts'
import { planMerge } from '../exact-sum/merge-plan.ts'
import { shardSumLayout } from '../exact-sum/shard-sum-layout.ts'
import type { SumRule } from '../exact-sum/sum-rule.ts'
import type { ServerOptimiser } from './server-optimiser.ts'
import { optimiserStateLayout } from './state-layout.ts'

const manifest = Manifest.parse({
  format: 'tributary.manifest/1',
  tensors: [
    { name: 'w', dtype: 'F32', shape: [2, 3], policy: 'average' },
    { name: 'seen', dtype: 'BOOL', shape: [3], policy: 'max' },
    { name: 'running', dtype: 'F64', shape: [2], policy: 'average', buffer: true },
    { name: 'half', dtype: 'BF16', shape: [3], policy: 'average' },
    { name: 'fixed', dtype: 'F32', shape: [2], policy: 'frozen' },
  ],
  inputs: [],
  outputs: [],
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
})
/** e = 25 with 4 updates. */
const rule: SumRule = {
  weighting: 'examples',
  weightCap: 2 ** 16,
  maxUpdates: 4,
  bound: 2 ** 10,
  bufferBound: 2 ** 10,
  clippingNorm: null,
}
const adam: ServerOptimiser = { name: 'fedadam', learningRate: 0.5, beta1: 0.5, beta2: 0.75, tau: 0.25 }
const yogi: ServerOptimiser = { ...adam, name: 'fedyogi' }
const momentum: ServerOptimiser = { name: 'fedavgm', learningRate: 2, momentum: 0.5 }

const file = (content: Readonly<Record<string, ArrayBufferView>>): Uint8Array =>
  encodeSafetensors(
    manifest.tensors.map(({ name, dtype, shape }) => ({
      name,
      dtype,
      shape,
      bytes: bytesOf(content[name] as ArrayBufferView),
    })),
  )
const base = file({
  w: Float32Array.of(1, 2, 3, 4, 5, 6),
  seen: Uint8Array.of(0, 1, 0),
  running: Float64Array.of(10, 20),
  half: Uint16Array.of(0x3f80, 0x3f80, 0x3f80),
  fixed: Float32Array.of(7, 8),
})
/** Mean updates as a shard sum of total weight 4; multiples of 2^-23 are exact. */
const sumOf = (w: readonly number[], running: readonly number[], half: readonly number[]): Uint8Array => {
  const fixedPoint = (values: readonly number[]) => BigInt64Array.from(values, value => BigInt(value * 4 * 2 ** 25))
  const parts = [fixedPoint(w), Uint8Array.of(1, 0, 0), fixedPoint(running), fixedPoint(half)]
  return Buffer.concat([shardSumLayout(manifest).header, ...parts.map(bytesOf)])
}

type Version = { readonly weights: Uint8Array; readonly state: Uint8Array | undefined }

const merge = (
  optimiser: ServerOptimiser,
  { weights, state }: Version,
  sum: Uint8Array,
  partBytes = Infinity,
): Version => {
  const merging = new PartMerge(rule, optimiser)
  const written = planMerge(manifest, partBytes, optimiser).map(part => {
    merging.begin(part)
    merging.addShard(sum.subarray(part.sum.begin, part.sum.end))
    // Copies: it is written on what is given, and what it gives holds until the next part.
    const before = state?.slice(part.state.begin, part.state.end)
    const merged = merging.finish(weights.slice(part.weights.begin, part.weights.end), 4n, before)
    return { ...merged, state: merged.state?.slice() ?? null }
  })
  const layout = optimiserStateLayout(manifest, optimiser)
  const states = written.flatMap(part => (part.state === null ? [] : [part.state]))
  return {
    weights: new Uint8Array(Buffer.concat(written.map(part => part.weights))),
    state: layout === null ? undefined : new Uint8Array(Buffer.concat([layout.header, ...states])),
  }
}
const first = { weights: base, state: undefined }
const floats = (version: Uint8Array, name: string): number[] => [
  ...typedView(decodeSafetensors(version).get(name)?.bytes as Uint8Array, 'F32'),
]

test('momentum gathers over rounds, and leaves buffers, maxima and frozen tensors alone', () => {
  const sum = sumOf([1, 0, 0, 0, 0, -1], [4, -4], [0, 0, 0])
  const one = merge(momentum, first, sum)
  // v = 1, x = 1 + 2 · 1; then v = 0.5 · 1 + 1, x = 3 + 2 · 1.5
  assert.deepEqual(floats(one.weights, 'w'), [3, 2, 3, 4, 5, 4])
  const two = merge(momentum, one, sum)
  assert.deepEqual(floats(two.weights, 'w'), [6, 2, 3, 4, 5, 1])
  const tensors = decodeSafetensors(two.weights)
  assert.deepEqual([...typedView(tensors.get('running')?.bytes as Uint8Array, 'F64')], [18, 12])
  assert.deepEqual(tensors.get('seen')?.bytes, Uint8Array.of(1, 0, 0))
  assert.deepEqual(floats(two.weights, 'fixed'), [7, 8])
})

test('the state is safetensors in manifest order, the moments of a parameter side by side', () => {
  const { state } = merge(adam, first, sumOf([2, 0, 0, 0, 0, 0], [0, 0], [0, 0, 0]))
  const tensors = decodeSafetensors(state as Uint8Array)
  assert.deepEqual([...tensors.keys()], ['moments/w', 'moments/half'])
  const moments = tensors.get('moments/w')
  assert.deepEqual([moments?.dtype, moments?.shape], ['F64', [2, 3, 2]])
  // m = 0.5 · 0 + 0.5 · 2, v = 0.75 · 0.25² + 0.25 · 4; elsewhere v = 0.75 · 0.25²
  const [m, v, , rest] = typedView(moments?.bytes as Uint8Array, 'F64')
  assert.deepEqual([m, v, rest], [1, 1.046875, 0.046875])
})

test('parts of any size give the bytes of the whole, weights and state, round after round', () => {
  const value = fc.integer({ min: -(2 ** 20), max: 2 ** 20 }).map(n => n / 2 ** 10)
  const values = (length: number) => fc.array(value, { minLength: length, maxLength: length })
  const sums = fc.array(
    fc.tuple(values(6), values(2), values(3)).map(([w, running, half]) => sumOf(w, running, half)),
    { minLength: 1, maxLength: 4 },
  )
  fc.assert(
    fc.property(sums, fc.integer({ min: 1, max: 700 }), fc.constantFrom(adam, yogi, momentum), (rounds, size, used) => {
      const whole = rounds.reduce((version, sum) => merge(used, version, sum), first as Version)
      const cut = rounds.reduce((version, sum) => merge(used, version, sum, size), first as Version)
      assert.deepEqual(cut, whole)
      assert.equal(whole.weights.byteLength, weightsLayout(manifest).fileBytes)
      assert.equal(whole.state?.byteLength, optimiserStateLayout(manifest, used)?.fileBytes)
    }),
  )
})

test('a state that is not finite is refused by the name of its tensor', () => {
  const { state, weights } = merge(momentum, first, sumOf([0, 0, 0, 0, 0, 0], [0, 0], [0, 0, 0]))
  const spoilt = (state as Uint8Array).slice()
  new DataView(spoilt.buffer).setFloat64(spoilt.byteLength - 8, Number.NaN, true)
  assert.throws(() => merge(momentum, { weights, state: spoilt }, sumOf([0, 0, 0, 0, 0, 0], [0, 0], [0, 0, 0])), {
    code: 'RESULT_NOT_FINITE',
    tensor: 'half',
  })
})
