import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { beginMoments, optimise } from './optimise.ts'
import { momentCount, noServerOptimiser, type ServerOptimiser } from './server-optimiser.ts'

type Round = { readonly x: string; readonly m?: string; readonly v: string }
type Golden = {
  readonly start: string
  readonly deltas: readonly string[]
  readonly cases: readonly { readonly optimiser: ServerOptimiser; readonly rounds: readonly Round[] }[]
}

const golden: Golden = JSON.parse(
  await readFile(new URL('../../fixtures/server_optimisers.json', import.meta.url), 'utf8'),
)
const numbers = (hex: string): Float64Array => new Float64Array(Uint8Array.from(Buffer.from(hex, 'hex')).buffer)
const initialMoments = (optimiser: ServerOptimiser, count: number): Float64Array => {
  // What was there before does not matter.
  const moments = new Float64Array(count * momentCount(optimiser)).fill(7)
  beginMoments(optimiser, moments)
  return moments
}
const hexes = (values: Float64Array): string => Buffer.from(values.buffer).toString('hex')

for (const { optimiser, rounds } of golden.cases) {
  test(`${JSON.stringify(optimiser)} gives the bits of NumPy, round by round`, () => {
    const x = numbers(golden.start)
    const moments = initialMoments(optimiser, x.length)
    for (const [round, expected] of rounds.entries()) {
      const step = numbers(golden.deltas[round] as string)
      optimise(optimiser, step, moments)
      for (let i = 0; i < x.length; i += 1) x[i] = (x[i] as number) + (step[i] as number)
      const width = moments.length / x.length
      assert.equal(hexes(x), expected.x)
      assert.equal(hexes(moments.filter((_, i) => i % width === width - 1)), expected.v)
      if (expected.m !== undefined) assert.equal(hexes(moments.filter((_, i) => i % 2 === 0)), expected.m)
    }
  })

  test(`${JSON.stringify(optimiser)} gives the same bits whatever ranges it works on`, () => {
    const whole = numbers(golden.deltas[0] as string)
    const moments = initialMoments(optimiser, whole.length)
    const pieces = whole.slice()
    const pieceMoments = moments.slice()
    const width = moments.length / whole.length
    optimise(optimiser, whole, moments)
    for (let i = 0; i < pieces.length; i += 5) {
      optimise(optimiser, pieces.subarray(i, i + 5), pieceMoments.subarray(i * width, (i + 5) * width))
    }
    assert.deepEqual([hexes(pieces), hexes(pieceMoments)], [hexes(whole), hexes(moments)])
  })
}

test('without an optimiser and with learning rate 1 the step is the mean, bit for bit', () => {
  const values = [0, -0, 1e-300, -2.5, 1 / 3, 5e-324, Number.MAX_VALUE]
  const step = Float64Array.from(values)
  optimise(noServerOptimiser, step, new Float64Array(0))
  for (const [i, value] of values.entries()) assert.ok(Object.is(step[i], value))
})

test('moments of other parameters are refused', () => {
  const optimiser = { name: 'fedavgm', learningRate: 1, momentum: 0.9 } as const
  assert.throws(() => optimise(optimiser, new Float64Array(2), new Float64Array(3)), RangeError)
})
