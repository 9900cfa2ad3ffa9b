import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Manifest, type ManifestTensor } from '@tributary/tensors/manifest'
import { bytesOf } from '@tributary/tensors/view'
import fc from 'fast-check'
import type { SumRule } from '../exact-sum/sum-rule.ts'
import { UpdateCheck } from '../update/check-update.ts'
import { InvalidUpdateError } from '../update/invalid-update-error.ts'
import { allocateKernelMemory } from './kernel-memory.ts'
import { Kernels, scratchBytes } from './kernels.ts'
import { UpdateScan } from './update-scan.ts'

const manifest = Manifest.parse({
  format: 'tributary.manifest/1',
  tensors: [
    { name: 'a', dtype: 'F32', shape: [3], policy: 'average' },
    { name: 'mean', dtype: 'F32', shape: [1], policy: 'average', buffer: true },
    { name: 'b', dtype: 'F64', shape: [2], policy: 'average' },
    { name: 'seen', dtype: 'BOOL', shape: [2], policy: 'max' },
    { name: 'top', dtype: 'F32', shape: [1], policy: 'max' },
    { name: 'steps', dtype: 'I32', shape: [1], policy: 'max' },
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

type Content = { readonly [Name in 'a' | 'mean' | 'b' | 'seen' | 'top' | 'steps']: readonly number[] }
const good: Content = { a: [0, -3, 0], mean: [64], b: [4, 0], seen: [0, 1], top: [1e30], steps: [-1] }

const bytesFor = (content: Content): Map<string, Uint8Array> =>
  new Map([
    ['a', bytesOf(Float32Array.from(content.a))],
    ['mean', bytesOf(Float32Array.from(content.mean))],
    ['b', bytesOf(Float64Array.from(content.b))],
    ['seen', Uint8Array.from(content.seen)],
    ['top', bytesOf(Float32Array.from(content.top))],
    ['steps', bytesOf(Int32Array.from(content.steps))],
  ])

const kernels = new Kernels(allocateKernelMemory(65_536), 1024)
assert.ok(1024 + scratchBytes(1024) < 65_536)

function scan(content: Content, order: readonly ManifestTensor[] = manifest.tensors): number {
  const scanning = new UpdateScan(kernels, rule)
  const bytes = bytesFor(content)
  for (const tensor of order) {
    const slice = bytes.get(tensor.name) as Uint8Array
    kernels.bytes.set(slice, 16_384)
    scanning.addSlice(tensor, 16_384, slice.byteLength)
  }
  return scanning.finish(manifest)
}

function twin(content: Content): number {
  const check = new UpdateCheck(rule)
  const bytes = bytesFor(content)
  for (const tensor of manifest.tensors) check.addSlice(tensor, bytes.get(tensor.name) as Uint8Array)
  return check.finish(manifest)
}

/** The outcome as a value: the norm, or why it was refused. */
function outcome(run: () => number): unknown {
  try {
    return run()
  } catch (error) {
    assert.ok(error instanceof InvalidUpdateError)
    return { code: error.code, tensor: error.tensor, message: error.message }
  }
}

test('the norm is that of all deltas but the buffers', () => {
  assert.equal(scan(good), 5)
})

test('of several faults the first in manifest order is told, in whatever order tensors come', () => {
  const bad = { ...good, b: [9, NaN], seen: [2, 0], top: [Infinity] }
  for (const order of [manifest.tensors, manifest.tensors.toReversed()]) {
    assert.throws(() => scan(bad, order), { name: 'InvalidUpdateError', code: 'OUT_OF_RANGE', tensor: 'b' })
    assert.throws(() => scan({ ...bad, b: [4, 0] }, order), { code: 'OUT_OF_RANGE', tensor: 'seen' })
    assert.throws(() => scan({ ...bad, b: [4, 0], seen: [0, 1] }, order), { code: 'NOT_FINITE', tensor: 'top' })
  }
})

test('a norm beyond 1.001 C is refused', () => {
  scan({ ...good, b: [4.006, 0] })
  assert.throws(() => scan({ ...good, b: [4.0075, 0] }), { code: 'NORM_EXCEEDED', tensor: null })
})

test('verdict, tensor and message are those of the twin', () => {
  const number = (bound: number) =>
    fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: -3, max: 3 }) },
      fc.constantFrom(bound, -bound, 1.0625 * bound, -2 * bound, NaN, Infinity, -Infinity, -0),
    )
  const content = fc.record({
    a: fc.array(number(8), { minLength: 3, maxLength: 3 }),
    mean: fc.array(number(64), { minLength: 1, maxLength: 1 }),
    b: fc.array(number(8), { minLength: 2, maxLength: 2 }),
    seen: fc.array(fc.constantFrom(0, 1, 1, 0, 0, 2), { minLength: 2, maxLength: 2 }),
    top: fc.array(number(1e38), { minLength: 1, maxLength: 1 }),
    steps: fc.constant([7]),
  })
  // Small whole numbers: their squares have one sum, whatever the order.
  fc.assert(
    fc.property(content, given => {
      assert.deepEqual(
        outcome(() => scan(given)),
        outcome(() => twin(given)),
      )
    }),
    { numRuns: 2000 },
  )
})
