import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exponential, seededRandom } from './random.ts'

test('the same seed gives the same numbers, another seed others', () => {
  const draw = (seed: number) => Array.from({ length: 5 }, seededRandom(seed))
  assert.deepEqual(draw(7), draw(7))
  assert.notDeepEqual(draw(7), draw(8))
})

test('seed 1 gives the published sequence of mulberry32', () => {
  const random = seededRandom(1)
  assert.deepEqual([random(), random(), random()], [0.6270739405881613, 0.002735721180215478, 0.5274470399599522])
})

test('exponential times have their mean, and are longer than it with probability 1/e', () => {
  const random = seededRandom(3)
  const times = Array.from({ length: 20_000 }, () => exponential(random, 10))
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length
  // Standard error of the mean: 10 / sqrt(20 000) = 0.07.
  assert.ok(Math.abs(mean - 10) < 0.3, `mean ${mean}`)
  const longer = times.filter(time => time > 10).length / times.length
  assert.ok(Math.abs(longer - Math.exp(-1)) < 0.015, `share ${longer}`)
})
