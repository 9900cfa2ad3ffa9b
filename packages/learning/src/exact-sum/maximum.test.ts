import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Dtype } from '@tributary/tensors/dtype'
import { bytesOf, typedView } from '@tributary/tensors/view'
import { keepMaximum, lowestValues } from './maximum.ts'

function maximum(dtype: Dtype, ...rows: ArrayBufferView[]): unknown[] {
  const kept = lowestValues(dtype, (rows[0] as ArrayBufferView).byteLength)
  for (const row of rows) keepMaximum(kept, bytesOf(row), dtype)
  return [...typedView(kept, dtype)]
}

test('the larger value is kept in every dtype', () => {
  assert.deepEqual(maximum('F32', Float32Array.of(1, -5, -0), Float32Array.of(0.5, -4, 0)), [1, -4, 0])
  assert.deepEqual(maximum('F64', Float64Array.of(-1e300), Float64Array.of(-1e301)), [-1e300])
  assert.deepEqual(maximum('I64', BigInt64Array.of(2n ** 62n, -3n), BigInt64Array.of(7n, -2n)), [2n ** 62n, -2n])
  assert.deepEqual(maximum('I32', Int32Array.of(-9), Int32Array.of(-8)), [-8])
  assert.deepEqual(maximum('I16', Int16Array.of(-9), Int16Array.of(-8)), [-8])
  assert.deepEqual(maximum('I8', Int8Array.of(-128), Int8Array.of(-127)), [-127])
  assert.deepEqual(maximum('U8', Uint8Array.of(255), Uint8Array.of(0)), [255])
  assert.deepEqual(maximum('BOOL', Uint8Array.of(0, 0), Uint8Array.of(1, 0)), [1, 0])
})

test('half precision is compared by value: 1 > 0.5 > −0.5 > −1', () => {
  assert.deepEqual(
    maximum('F16', Uint16Array.of(0x3800, 0xbc00, 0xb800), Uint16Array.of(0x3c00, 0xb800, 0x3c00)),
    [0x3c00, 0xb800, 0x3c00],
  )
  assert.deepEqual(maximum('BF16', Uint16Array.of(0xbf80), Uint16Array.of(0xbf00)), [0xbf00])
})

test('zeros of both signs give +0 in either order', () => {
  for (const [dtype, plus, minus] of [
    ['F32', Float32Array.of(0), Float32Array.of(-0)],
    ['F16', Uint16Array.of(0), Uint16Array.of(0x8000)],
  ] as const) {
    assert.deepEqual(maximum(dtype, plus, minus), [0])
    assert.deepEqual(maximum(dtype, minus, plus), [0])
  }
})
