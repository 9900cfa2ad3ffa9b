import assert from 'node:assert/strict'
import { test } from 'node:test'
import { datatypeOf, fromHalf, isDatatype, toHalf, viewOf } from './datatype.ts'

/** The engine's own half precision, which its types do not know yet. */
type HalfView = { getFloat16(at: number): number; setFloat16(at: number, value: number): void }
const engine = new DataView(new ArrayBuffer(2)) as DataView & HalfView

test('every FP16 is the number that the engine reads', () => {
  for (let bits = 0; bits < 65_536; bits++) {
    engine.setUint16(0, bits)
    assert.ok(Object.is(fromHalf(bits), engine.getFloat16(0)), `bits ${bits}`)
  }
})

test('numbers become the FP16 that the engine writes, ties and denormals among them', () => {
  const numbers = [0, -0, 1, -1, 65_504, 65_519.99, 65_520, 1e9, -1e9, 2 ** -24, 2 ** -25, 2 ** -25 * 1.0001, 2 ** -14]
  for (let index = 0; index < 20_000; index++) numbers.push(Math.sin(index * 7.7) * 2 ** ((index % 44) - 26))
  // Half way between two neighbours.
  for (let bits = 1; bits < 0x7bff; bits += 13) numbers.push((fromHalf(bits) + fromHalf(bits + 1)) / 2)
  for (const value of numbers) {
    engine.setFloat16(0, value)
    assert.equal(toHalf(value), engine.getUint16(0), String(value))
  }
})

test('bytes that are not aligned are read all the same', () => {
  const bytes = new Uint8Array(9)
  bytes.set(new Uint8Array(Float32Array.of(1.5, -2).buffer), 1)
  assert.deepEqual(viewOf('FP32', bytes.subarray(1)), Float32Array.of(1.5, -2))
})

test('texts and what the runtime has beside are no datatypes', () => {
  assert.deepEqual(['BYTES', 'UINT64', '__proto__', 'constructor', 7, null].filter(isDatatype), [])
  assert.deepEqual([datatypeOf('string'), datatypeOf('uint64'), datatypeOf('float16')], [undefined, undefined, 'FP16'])
})
