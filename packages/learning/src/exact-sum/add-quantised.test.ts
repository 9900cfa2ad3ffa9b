import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addQuantised } from './add-quantised.ts'
import { sumExponent } from './exponent.ts'

/** roundTiesToEven(value · weight · 2^exponent) in integers alone; the product of value and weight must be exact in float64. */
function quantise(value: number, weight: number, exponent: number): bigint {
  const words = new BigUint64Array(Float64Array.of(Math.abs(value)).buffer)
  const bits = words[0] as bigint
  const biased = bits >> 52n
  const mantissa = (bits & ((1n << 52n) - 1n)) | (biased === 0n ? 0n : 1n << 52n)
  const power = Number(biased === 0n ? 1n : biased) - 1075 + exponent
  const numerator = mantissa * BigInt(weight)
  const magnitude = power >= 0 ? numerator << BigInt(power) : divideToEven(numerator, 1n << BigInt(-power))
  return value < 0 ? -magnitude : magnitude
}

function divideToEven(numerator: bigint, divisor: bigint): bigint {
  const whole = numerator / divisor
  const twice = 2n * (numerator % divisor)
  return twice > divisor || (twice === divisor && whole % 2n === 1n) ? whole + 1n : whole
}

const added = (values: number[], scale: number, start = 0n) => {
  const sum = new BigInt64Array(values.length).fill(start)
  addQuantised(sum, Float32Array.from(values), scale)
  return [...sum]
}

test('ties go to the even neighbour, zeros of either sign add nothing', () => {
  assert.deepEqual(added([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0, -0, 0.75], 1), [0n, 2n, 2n, 0n, -2n, -2n, 0n, 0n, 1n])
})

test('values exactly at the bound reach 2^51 and are exact', () => {
  assert.deepEqual(added([1024, -1024, 1024 - 2 ** -14], 2 ** 16 * 2 ** 25), [
    2n ** 51n,
    -(2n ** 51n),
    // 2^-14 · 2^41 less
    2n ** 51n - 2n ** 27n,
  ])
})

test('denormal numbers round to zero or to their unit', () => {
  const smallest = 2 ** -149
  assert.deepEqual(added([smallest, -smallest], 2 ** 100), [0n, 0n])
  const sum = new BigInt64Array(3)
  addQuantised(sum, Float64Array.of(2 ** -100, 1.5 * 2 ** -101, -(2 ** -101)), 2 ** 100)
  assert.deepEqual([...sum], [1n, 1n, 0n])
})

test('carries cross the middle of the 64 bits in both directions', () => {
  assert.deepEqual(added([1, -1, 2], 1, 0xffff_ffffn), [0x1_0000_0000n, 0xffff_fffen, 0x1_0000_0001n])
  assert.deepEqual(added([-1, 1, -2], 1, -0x1_0000_0000n), [-0x1_0000_0001n, -0xffff_ffffn, -0x1_0000_0002n])
})

test('sums equal those of integer arithmetic, whatever bound, weight and values', () => {
  const rule = fc
    .record({ power: fc.integer({ min: -10, max: 12 }), weightCap: fc.integer({ min: 1, max: 2 ** 24 }) })
    .chain(({ power, weightCap }) =>
      fc.record({
        exponent: fc.constant(sumExponent({ bound: 2 ** power, weightCap, maxUpdates: 1000 })),
        updates: fc.array(
          fc.record({
            weight: fc.integer({ min: 1, max: weightCap }),
            values: fc.array(fc.float({ min: -(2 ** power), max: 2 ** power, noNaN: true }), {
              minLength: 3,
              maxLength: 3,
            }),
          }),
          { maxLength: 5 },
        ),
      }),
    )
  fc.assert(
    fc.property(rule, ({ exponent, updates }) => {
      const sum = new BigInt64Array(3)
      const expected = [0n, 0n, 0n]
      for (const { weight, values } of updates) {
        addQuantised(sum, Float32Array.from(values), weight * 2 ** exponent)
        for (const [i, value] of values.entries())
          expected[i] = (expected[i] as bigint) + quantise(value, weight, exponent)
      }
      assert.deepEqual([...sum], expected)
    }),
    { numRuns: 3_000 },
  )
})

test('as many updates at the bound as the exponent allows for do not overflow', () => {
  // 2^12 updates of 2^50 each: the largest sum there can be, 2^62.
  const exponent = sumExponent({ bound: 1, weightCap: 1, maxUpdates: 2 ** 12 })
  const sum = new BigInt64Array(2)
  for (let update = 0; update < 2 ** 12; update += 1) addQuantised(sum, Float32Array.of(1, -1), 2 ** exponent)
  assert.deepEqual([...sum], [2n ** 62n, -(2n ** 62n)])
})

test('long slices are added like short ones', () => {
  const values = Float32Array.from({ length: 5_000 }, (_, i) => (i % 7) - 3)
  const sum = new BigInt64Array(5_000).fill(10n)
  addQuantised(sum, values, 4)
  assert.deepEqual(
    sum,
    BigInt64Array.from({ length: 5_000 }, (_, i) => 10n + 4n * BigInt((i % 7) - 3)),
  )
})
