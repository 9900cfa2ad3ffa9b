import assert from 'node:assert/strict'
import { test } from 'node:test'
import { glorotUniform, splitmix32 } from '../models/random.ts'
import { relativeDistance, signedSums } from './sketch.ts'

const vector = (seed: number, length: number): Float64Array =>
  Float64Array.from(glorotUniform(splitmix32(seed), length, 3, 3))

test('the distance that sketches tell is the distance, within a third', () => {
  const exact = vector(1, 5000)
  const noise = vector(2, 5000).map(value => value * 1e-4)
  const off = exact.map((value, index) => value + (noise[index] ?? 0))
  const sketches = new Map([['v', Float64Array.of(Math.hypot(...exact), ...signedSums(7, exact))]])
  const told = relativeDistance(new Map([['v', { seed: 7, values: off }]]), sketches)
  const expected = Math.hypot(...noise) / Math.hypot(...exact)
  assert.ok(told > expected / 1.33 && told < expected * 1.33, `${told}, not ${expected}`)
})

test('one wrong entry among thousands is told exactly', () => {
  const exact = vector(1, 5000)
  const sketches = new Map([['v', Float64Array.of(Math.hypot(...exact), ...signedSums(7, exact))]])
  const values = exact.slice()
  values[4321] = (values[4321] ?? 0) + 0.5
  const told = relativeDistance(new Map([['v', { seed: 7, values }]]), sketches)
  assert.ok(Math.abs((told * Math.hypot(...exact)) / 0.5 - 1) < 1e-9)
})
