import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DTYPE_BYTES, DTYPES, type Dtype, FLOAT_DTYPES, type FloatDtype } from '@tributary/tensors/dtype'
import { readFloats } from '@tributary/tensors/floats'
import { bytesOf, typedView } from '@tributary/tensors/view'
import fc from 'fast-check'
import { addQuantised } from '../exact-sum/add-quantised.ts'
import { sumExponent } from '../exact-sum/exponent.ts'
import { keepMaximum } from '../exact-sum/maximum.ts'
import { allocateKernelMemory, MOST_KERNEL_BYTES } from './kernel-memory.ts'
import { Kernels, scratchBytes } from './kernels.ts'
import { SQUARE_LANES, totalOfLanes } from './square-lanes.ts'
import { addSquaresTwin, firstBeyondTwin } from './twin.ts'

const sliceBytes = 65_536
const from = 4096
const into = 131_072
const scratch = 262_144
const memory = allocateKernelMemory(scratch + scratchBytes(sliceBytes))
const kernels = new Kernels(memory, scratch)
const guard = 0xa5

/** Elements as bytes: every bit pattern that the float arbitraries give, in the dtype. */
const encode = (dtype: FloatDtype, values: readonly number[]): Uint8Array => {
  if (dtype === 'F64') return bytesOf(Float64Array.from(values))
  if (dtype === 'F32') return bytesOf(Float32Array.from(values))
  if (dtype === 'F16') return bytesOf(Uint16Array.from(new Uint16Array(Float16Array.from(values).buffer)))
  return bytesOf(
    Uint16Array.from(values, value => (new Uint32Array(Float32Array.of(value).buffer)[0] as number) >>> 16),
  )
}

/** Puts bytes at an address with what must not change before and behind them. */
const place = (bytes: Uint8Array, at: number, beside = guard): void => {
  kernels.bytes.fill(beside, at - 64, at + bytes.byteLength + 64)
  kernels.bytes.set(bytes, at)
}

const read = (at: number, bytes: number): Uint8Array => {
  const before = kernels.bytes.slice(at - 64, at)
  const behind = kernels.bytes.slice(at + bytes, at + bytes + 64)
  assert.ok(
    [...before, ...behind].every(byte => byte === guard),
    'bytes beside the range were changed',
  )
  return kernels.bytes.slice(at, at + bytes)
}

const added = (dtype: FloatDtype, bytes: Uint8Array, sums: BigInt64Array, scale: number, shift = 0): BigInt64Array => {
  place(bytes, from + shift)
  place(bytesOf(sums), into + shift)
  kernels.addQuantised(dtype, from + shift, into + shift, sums.length, scale)
  return typedView(read(into + shift, sums.byteLength), 'I64')
}

const addedTwin = (dtype: FloatDtype, bytes: Uint8Array, sums: BigInt64Array, scale: number): BigInt64Array => {
  const twin = sums.slice()
  addQuantised(twin, readFloats(bytes, dtype), scale)
  return twin
}

test('ties go to the even neighbour and zeros of either sign add nothing, in vectors and in tails', () => {
  const values = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0, -0, 0.75, 3.5, -3.5, 4.5, -0, 0, 0.5, 1.5, 2.5]
  const whole = [0n, 2n, 2n, 0n, -2n, -2n, 0n, 0n, 1n, 4n, -4n, 4n, 0n, 0n, 0n, 2n, 2n]
  for (const dtype of FLOAT_DTYPES) {
    for (let length = 1; length <= values.length; length += 1) {
      const sums = new BigInt64Array(length).fill(5n)
      const result = added(dtype, encode(dtype, values.slice(0, length)), sums, 1)
      assert.deepEqual(
        [...result],
        whole.slice(0, length).map(q => q + 5n),
      )
    }
  }
})

test('values at the bound reach 2^51 in both signs', () => {
  const values = Array.from({ length: 11 }, (_, i) => (i % 2 === 0 ? 1024 : -1024))
  const sums = added('F32', encode('F32', values), new BigInt64Array(11), 2 ** 16 * 2 ** 25)
  assert.deepEqual(
    [...sums],
    values.map(value => BigInt(Math.sign(value)) * 2n ** 51n),
  )
})

const interesting = (bound: number) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.double({ min: -bound, max: bound, noNaN: true }) },
    fc.constantFrom(0, -0, bound, -bound, bound / 2, 2 ** -149, -(2 ** -149), 1.5 * 2 ** -126, 5e-324, -2.5e-308),
    // Halves and odd halves of small powers of two: ties for many scales.
    fc
      .tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -60, max: 10 }))
      .map(([odd, power]) => Math.max(-bound, Math.min(bound, (odd / 2) * 2 ** power))),
  )

const like = fc.integer({ min: -(10 ** 6), max: 10 ** 6 }).map(n => n / 997)

const update = fc
  .record({ power: fc.integer({ min: -20, max: 20 }), weightCap: fc.integer({ min: 1, max: 2 ** 24 }) })
  .chain(({ power, weightCap }) =>
    fc.record({
      scale: fc
        .integer({ min: 1, max: weightCap })
        .map(weight => weight * 2 ** sumExponent({ bound: 2 ** power, weightCap, maxUpdates: 1000 })),
      values: fc.array(interesting(2 ** power), { minLength: 0, maxLength: 70 }),
      start: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
    }),
  )

test('sums equal those of the twin, whatever dtype, values, weight, exponent, length and alignment', () => {
  fc.assert(
    fc.property(update, fc.constantFrom(...FLOAT_DTYPES), fc.integer({ min: 0, max: 15 }), (given, dtype, shift) => {
      const bytes = encode(dtype, given.values)
      const sums = new BigInt64Array(given.values.length).fill(given.start)
      assert.deepEqual(added(dtype, bytes, sums, given.scale, shift), addedTwin(dtype, bytes, sums, given.scale))
    }),
    { numRuns: 4000 },
  )
})

test('every exponent from −60 to 51 and weights up to 2^24 give the bytes of the twin', () => {
  const values = [1, -1, 0.1, -0.3, 2 ** -30, 0.999, 1 / 3, -0, 2 ** -149, 0.75, -0.5, 0.25, 1 - 2 ** -24]
  for (let exponent = -60; exponent <= 51; exponent += 1) {
    for (const weight of [1, 3, 2 ** 16 - 1, 2 ** 24]) {
      // Numbers for which the product stays at most 2^51, as the bound sees to it.
      const scale = weight * 2 ** exponent
      const within = values.map(value => value * Math.min(1, 2 ** 51 / scale) * (scale < 1 ? 2 ** 20 / scale : 1))
      for (const dtype of ['F32', 'F64'] as const) {
        const bytes = encode(dtype, within)
        const sums = new BigInt64Array(values.length).fill(-7n)
        assert.deepEqual(added(dtype, bytes, sums, scale), addedTwin(dtype, bytes, sums, scale))
      }
    }
  }
})

test('infinity adds the same bits as in the twin, though nobody lets it come so far', () => {
  const bytes = encode('F32', [Infinity, -Infinity, 1, Infinity, 1, 1, 1, 1, -Infinity])
  const sums = new BigInt64Array(9)
  assert.deepEqual(added('F32', bytes, sums, 3), addedTwin('F32', bytes, sums, 3))
})

test('the first element beyond the bound is found at every place, in every tail', () => {
  for (const dtype of FLOAT_DTYPES) {
    for (let length = 0; length <= 40; length += 1) {
      const values = Array.from({ length }, (_, i): number => (i % 2 === 0 ? 2 : -2))
      place(encode(dtype, values), from)
      assert.equal(kernels.firstBeyond(dtype, from, length, 2), -1)
      for (let at = 0; at < length; at += 1) {
        for (const bad of [2.0625, -2.0625, NaN, Infinity, -Infinity]) {
          place(encode(dtype, values.with(at, bad)), from)
          assert.equal(kernels.firstBeyond(dtype, from, length, 2), at)
          const found = kernels.element(dtype, from, at)
          assert.ok(Object.is(found, bad), `${found} is not ${bad}`)
        }
      }
    }
  }
})

test('the largest numbers of a dtype are finite, what follows is not', () => {
  const largest = { F64: Number.MAX_VALUE, F32: (2 - 2 ** -23) * 2 ** 127, F16: 65_504, BF16: (2 - 2 ** -7) * 2 ** 127 }
  for (const dtype of FLOAT_DTYPES) {
    place(encode(dtype, [largest[dtype], -largest[dtype], Infinity]), from)
    assert.equal(kernels.firstBeyond(dtype, from, 3, Number.MAX_VALUE), 2)
    assert.equal(kernels.firstBeyond(dtype, from, 2, Number.MAX_VALUE), -1)
  }
})

test('the first beyond equals that of the twin for any bits', () => {
  const given = fc.record({
    bytes: fc.uint8Array({ minLength: 0, maxLength: 200 }),
    dtype: fc.constantFrom(...FLOAT_DTYPES),
    power: fc.integer({ min: -64, max: 64 }),
    shift: fc.integer({ min: 0, max: 7 }),
  })
  fc.assert(
    fc.property(given, ({ bytes, dtype, power, shift }) => {
      const whole = bytes.subarray(0, bytes.byteLength - (bytes.byteLength % DTYPE_BYTES[dtype]))
      place(whole, from + shift)
      const count = whole.byteLength / DTYPE_BYTES[dtype]
      const twin = firstBeyondTwin(readFloats(whole, dtype), 2 ** power)
      assert.equal(kernels.firstBeyond(dtype, from + shift, count, 2 ** power), twin)
    }),
    { numRuns: 2000 },
  )
})

test('a BOOL that is neither 0 nor 1 is found at every place', () => {
  for (let length = 0; length <= 70; length += 1) {
    const values = Uint8Array.from({ length }, (_, i) => i % 2)
    place(values, from)
    assert.equal(kernels.firstAboveOne(from, length), -1)
    for (let at = 0; at < length; at += 1) {
      place(values.with(at, at % 2 === 0 ? 2 : 255), from)
      assert.equal(kernels.firstAboveOne(from, length), at)
    }
  }
})

test('sums of squares have the bits of the twin, however a tensor is cut into multiples of eight', () => {
  const given = fc.record({
    // Of like magnitude, so that each order of additions has a sum of its own.
    values: fc.array(fc.oneof(interesting(2 ** 10), like, like, like), { minLength: 0, maxLength: 120 }),
    dtype: fc.constantFrom(...FLOAT_DTYPES),
    slice: fc.integer({ min: 1, max: 5 }).map(n => n * SQUARE_LANES),
    shift: fc.integer({ min: 0, max: 7 }),
  })
  fc.assert(
    fc.property(given, ({ values, dtype, slice, shift }) => {
      const bytes = encode(dtype, values)
      const lanes = new Float64Array(SQUARE_LANES)
      addSquaresTwin(lanes, readFloats(bytes, dtype), 0)
      place(bytes, from + shift)
      kernels.clearSquares()
      for (let i = 0; i < values.length; i += slice) {
        const at = from + shift + i * DTYPE_BYTES[dtype]
        kernels.addSquares(dtype, at, Math.min(slice, values.length - i))
      }
      assert.ok(Object.is(kernels.squares(), totalOfLanes(lanes)))
    }),
    { numRuns: 2000 },
  )
})

test('the squares of 3 and 4 make 25', () => {
  place(encode('F32', [3, -4]), from)
  kernels.clearSquares()
  kernels.addSquares('F32', from, 2)
  assert.equal(kernels.squares(), 25)
})

const bits64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })

const maximumOf = (dtype: Dtype, kept: Uint8Array, values: Uint8Array, shift = 0): Uint8Array => {
  // Larger than the guard behind `into`, in every dtype.
  place(values, from + shift, 0x7f)
  place(kept, into + shift, guard)
  kernels.keepMaximum(dtype, from + shift, into + shift, kept.byteLength)
  return read(into + shift, kept.byteLength)
}

test('the maximum is that of the twin in every dtype, whatever bits but NaN', () => {
  const given = fc.record({
    pairs: fc.array(fc.tuple(bits64, bits64), { maxLength: 30 }),
    dtype: fc.constantFrom(...DTYPES),
    elements: fc.integer({ min: 0, max: 40 }),
    shift: fc.integer({ min: 0, max: 7 }),
  })
  const isNumber = (dtype: Dtype, bytes: Uint8Array): boolean =>
    !(FLOAT_DTYPES as readonly string[]).includes(dtype) ||
    readFloats(bytes, dtype as FloatDtype).every((value: number) => !Number.isNaN(value))
  fc.assert(
    fc.property(given, ({ pairs, dtype, elements, shift }) => {
      const size = Math.min(pairs.length * 8, elements * DTYPE_BYTES[dtype])
      const length = size - (size % DTYPE_BYTES[dtype])
      const kept = bytesOf(BigUint64Array.from(pairs, ([a]) => a)).slice(0, length)
      const values = bytesOf(BigUint64Array.from(pairs, ([, b]) => b)).slice(0, length)
      fc.pre(isNumber(dtype, kept) && isNumber(dtype, values))
      const twin = kept.slice()
      keepMaximum(twin, values, dtype)
      assert.deepEqual(maximumOf(dtype, kept, values, shift), twin)
    }),
    { numRuns: 4000 },
  )
})

test('the larger of two zeros is +0 in either order', () => {
  for (const dtype of FLOAT_DTYPES) {
    const plus = encode(dtype, [0])
    const minus = encode(dtype, [-0])
    assert.deepEqual(maximumOf(dtype, plus, minus), plus)
    assert.deepEqual(maximumOf(dtype, minus, plus), plus)
  }
})

test('memory beyond what kernels reach is refused by size', () => {
  assert.throws(() => allocateKernelMemory(MOST_KERNEL_BYTES + 1), { name: 'RangeError', message: /4294901760/ })
  assert.throws(() => allocateKernelMemory(Number.NaN), RangeError)
})

test('every half has the value that plain TypeScript gives it', () => {
  const bits = bytesOf(Uint16Array.from({ length: 65_536 }, (_, i) => i))
  kernels.bytes.set(bits, into)
  for (const dtype of ['F16', 'BF16'] as const) {
    const twin = readFloats(bits, dtype)
    for (let i = 0; i < 65_536; i += 1) assert.ok(Object.is(kernels.element(dtype, into, i), twin[i]))
  }
})
