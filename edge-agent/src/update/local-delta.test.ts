import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Manifest } from '@tributary/tensors/manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf } from '@tributary/tensors/view'
import { encodeLocalUpdate, type Weights } from './local-delta.ts'

type Policy = Manifest['tensors'][number]['policy']

const manifestOf = (tensors: { name: string; length: number; policy?: Policy; buffer?: boolean }[]): Manifest => ({
  format: 'tributary.manifest/1',
  tensors: tensors.map(({ name, length, policy = 'average', buffer = false }) => ({
    name,
    dtype: 'F32',
    shape: [length],
    policy,
    ...(buffer ? { buffer } : {}),
  })),
  inputs: [],
  outputs: [],
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
})

const weightsOf = (values: Record<string, number[]>): Weights =>
  new Map(
    Object.entries(values).map(([name, list]) => [
      name,
      { name, dtype: 'F32', shape: [list.length], bytes: bytesOf(Float32Array.from(list)) },
    ]),
  )

/** The body written out by hand: length, JSON padded to 8 bytes, then little-endian float32. */
const byHand = (json: string, values: number[]): Buffer => {
  const text = json.padEnd(Math.ceil(json.length / 8) * 8, ' ')
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  const data = Buffer.alloc(4 * values.length)
  for (const [i, value] of values.entries()) data.writeFloatLE(value, 4 * i)
  return Buffer.concat([length, Buffer.from(text), data])
}

suite('the body of an update', () => {
  test('is local minus base under delta names, in manifest order', () => {
    const manifest = manifestOf([
      { name: 'w', length: 2 },
      { name: 'b', length: 1 },
    ])
    const base = weightsOf({ b: [1], w: [0.5, -2] })
    const local = weightsOf({ w: [0.75, -4], b: [1.125] })
    const expected = byHand(
      '{"delta/w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"delta/b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}',
      [0.25, -2, 0.125],
    )
    assert.deepEqual(Buffer.from(encodeLocalUpdate(manifest, base, local, null)), expected)
  })

  test('is scaled to the clipping norm over all tensors, running statistics apart', () => {
    const manifest = manifestOf([
      { name: 'w', length: 1 },
      { name: 'v', length: 1 },
      { name: 'mean', length: 1, buffer: true },
    ])
    const base = weightsOf({ w: [0], v: [0], mean: [0] })
    // ‖(3, 4)‖ = 5, so a norm of 2.5 halves both.
    const body = Buffer.from(encodeLocalUpdate(manifest, base, weightsOf({ w: [3], v: [4], mean: [100] }), 2.5))
    const data = body.subarray(body.length - 12)
    assert.deepEqual([data.readFloatLE(0), data.readFloatLE(4), data.readFloatLE(8)], [1.5, 2, 100])
  })

  test('is not touched where it is within the clipping norm', () => {
    const manifest = manifestOf([{ name: 'w', length: 2 }])
    const base = weightsOf({ w: [0, 0] })
    const local = weightsOf({ w: [3, 4] })
    assert.deepEqual(encodeLocalUpdate(manifest, base, local, 5), encodeLocalUpdate(manifest, base, local, null))
  })

  test('holds values of max tensors and nothing of those that stay', () => {
    const manifest = manifestOf([
      { name: 'seen', length: 1, policy: 'max' },
      { name: 'head', length: 1, policy: 'keep-local' },
      { name: 'ice', length: 1, policy: 'frozen' },
    ])
    const local = weightsOf({ seen: [7], head: [1], ice: [2] })
    const expected = encodeSafetensors([
      { name: 'value/seen', dtype: 'F32', shape: [1], bytes: bytesOf(Float32Array.of(7)) },
    ])
    assert.deepEqual(encodeLocalUpdate(manifest, weightsOf({ seen: [5], head: [0], ice: [0] }), local, null), expected)
  })

  test('says so when training diverged, clipped or not', () => {
    const manifest = manifestOf([{ name: 'w', length: 1 }])
    for (const norm of [null, 1]) {
      const body = Buffer.from(encodeLocalUpdate(manifest, weightsOf({ w: [1] }), weightsOf({ w: [Number.NaN] }), norm))
      assert.ok(Number.isNaN(body.readFloatLE(body.length - 4)))
    }
  })

  test('names the tensor that the trained weights lack', () => {
    const manifest = manifestOf([{ name: 'w', length: 1 }])
    assert.throws(() => encodeLocalUpdate(manifest, weightsOf({ w: [1] }), weightsOf({}), null), {
      code: 'TENSOR_MISSING',
      tensor: 'w',
    })
  })
})
