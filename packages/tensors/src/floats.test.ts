import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readFloats, writeFloats } from './floats.ts'
import { bytesOf, typedView } from './view.ts'

// Node's own half-precision array is the other implementation.
const Float16 = (globalThis as unknown as { Float16Array: Float32ArrayConstructor }).Float16Array

const bits = (values: readonly number[], dtype: 'F16' | 'BF16') => [
  ...typedView(writeFloats(Float64Array.from(values), dtype), dtype),
]

test('every F16 bit pattern reads as Float16Array reads it', () => {
  const patterns = Uint16Array.from({ length: 65_536 }, (_, index) => index)
  assert.deepEqual([...readFloats(bytesOf(patterns), 'F16')], [...new Float16(patterns.buffer)])
})

test('float64 rounds to F16 as Float16Array rounds it', () => {
  fc.assert(
    fc.property(fc.oneof(fc.double({ noNaN: true }), fc.double({ noNaN: true, min: -70_000, max: 70_000 })), value => {
      const expected = new Uint16Array(Float16.of(value).buffer)[0]
      assert.equal(bits([value], 'F16')[0], expected)
    }),
    { numRuns: 20_000 },
  )
})

test('F16 ties go to even, at the edges of its range too', () => {
  // 2049 lies between 2048 and 2050; 65519.99 is the last number that does not overflow; 2^-25 is half the smallest.
  assert.deepEqual(
    bits([2049, 2051, 65_519.99, 65_520, 2 ** -25, 1.5 * 2 ** -24, -0], 'F16'),
    [0x6800, 0x6802, 0x7bff, 0x7c00, 0, 2, 0x8000],
  )
})

test('float64 rounds to BF16 once, not by way of float32', () => {
  // 1 + 2^-8 is a tie and goes to 1; the least above it must go up, though float32 cannot tell the two apart.
  assert.deepEqual(
    bits([1, 1 + 2 ** -8, 1 + 2 ** -8 + 2 ** -40, -1.5, Infinity, 3.4e38], 'BF16'),
    [0x3f80, 0x3f80, 0x3f81, 0xbfc0, 0x7f80, 0x7f80],
  )
})

test('BF16 survives reading and writing', () => {
  const patterns = Uint16Array.from({ length: 65_536 }, (_, index) => index).filter(half => (half & 0x7f80) !== 0x7f80)
  const values = readFloats(bytesOf(patterns), 'BF16')
  assert.equal(values[0x3fc0], 1.5)
  assert.deepEqual(bits([...values], 'BF16'), [...patterns])
})

test('F32 and F64 are read in place where they are aligned', () => {
  const buffer = new Uint8Array(24)
  const aligned = readFloats(buffer.subarray(8, 16), 'F32')
  buffer.set(bytesOf(Float32Array.of(0.25)), 8)
  assert.equal(aligned[0], 0.25)
})

test('unaligned bytes are read from a copy, of a Buffer too', () => {
  const unaligned = Uint8Array.from([9, ...bytesOf(Float64Array.of(-3))]).subarray(1)
  assert.equal(readFloats(unaligned, 'F64')[0], -3)
  assert.equal(readFloats(Buffer.from(unaligned.buffer, 1, 8), 'F64')[0], -3)
})

test('part of an element is refused', () => {
  assert.throws(() => typedView(new Uint8Array(7), 'F32'), /7 bytes are not a whole number of F32/)
})
