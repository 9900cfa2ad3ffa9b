import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addDistance, distanceOf } from './distance.ts'
import { bytesOf } from './view.ts'

test('sums of squares, product and largest difference of small vectors', () => {
  const a = bytesOf(Float32Array.of(1, -2, 3))
  const b = bytesOf(Float32Array.of(1, 2, 5))
  // (0, −4, −2): 0 + 16 + 4; 1 + 4 + 9; 1 + 4 + 25; 1 − 4 + 15
  assert.deepEqual(distanceOf(a, b, 'F32'), { squares: 20, aSquares: 14, bSquares: 30, product: 12, most: 4 })
})

test('runs add up to the whole', () => {
  const a = bytesOf(Float64Array.of(1, 2, 3, 4))
  const b = bytesOf(Float64Array.of(4, 3, 2, 1))
  const half = addDistance(
    distanceOf(a.subarray(0, 16), b.subarray(0, 16), 'F64'),
    distanceOf(a.subarray(16), b.subarray(16), 'F64'),
  )
  assert.deepEqual(half, distanceOf(a, b, 'F64'))
})

test('integers, truth values and halves count as the numbers that they are', () => {
  const squares = (a: ArrayBufferView, b: ArrayBufferView, dtype: 'I64' | 'BOOL' | 'I8' | 'F16' | 'BF16') =>
    distanceOf(bytesOf(a), bytesOf(b), dtype).squares
  assert.equal(squares(BigInt64Array.of(-3n), BigInt64Array.of(4n), 'I64'), 49)
  assert.equal(squares(Uint8Array.of(1, 0), Uint8Array.of(0, 0), 'BOOL'), 1)
  assert.equal(squares(Int8Array.of(-128), Int8Array.of(127), 'I8'), 255 ** 2)
  // 1 and 2 in both formats
  assert.equal(squares(Uint16Array.of(0x3c00), Uint16Array.of(0x4000), 'F16'), 1)
  assert.equal(squares(Uint16Array.of(0x3f80), Uint16Array.of(0x4000), 'BF16'), 1)
})

test('what is not a number shows in the sums', () => {
  const found = distanceOf(bytesOf(Float32Array.of(NaN, 1)), bytesOf(Float32Array.of(0, 1)), 'F32')
  assert.ok(Number.isNaN(found.squares) && Number.isNaN(found.most))
  assert.equal(found.bSquares, 1)
})
