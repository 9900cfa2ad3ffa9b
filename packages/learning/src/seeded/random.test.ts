import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytesOf } from '@tributary/tensors/view'
import { epochOrder } from './epoch-order.ts'
import { SeededRandom } from './random.ts'
import { deriveSeed, trainingSeed } from './seed.ts'

const random = (...words: number[]) => new SeededRandom(bytesOf(Uint32Array.from(words)))

test('numbers are those of the reference implementation of xoshiro128**', () => {
  const numbers = random(1, 2, 3, 4)
  assert.deepEqual(
    Array.from({ length: 10 }, () => numbers.uint32()),
    [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804],
  )
})

test('a seed of zeros is not a dead end', () => {
  const numbers = random(0, 0, 0, 0)
  assert.ok(Array.from({ length: 8 }, () => numbers.uint32()).some(number => number > 0))
})

test('seeds are SHA-256 of compact JSON, as Python derives them', () => {
  // hashlib.sha256(json.dumps([...], separators=(',', ':'), ensure_ascii=False).encode()).hexdigest()
  assert.equal(
    Buffer.from(trainingSeed('00ff', 3, 'gerät-7')).toString('hex'),
    '02453a63599128b8daa698a5cdbc01ca365495a782ff4b7aa3c4706c92275a6e',
  )
  assert.equal(
    Buffer.from(deriveSeed('selection')).toString('hex'),
    'ff8db94d5317c14c78ea06e5e71ac5c9d897daaaa7e6e2d0e4f3716ce81d4d78',
  )
  for (const wrong of [NaN, 0.5, '\ud800']) assert.throws(() => deriveSeed('x', wrong), RangeError)
})

test('bounded numbers reach every value about equally often', () => {
  const numbers = random(9, 8, 7, 6)
  const counts = new Uint32Array(6)
  for (let i = 0; i < 60_000; i += 1) {
    const number = numbers.below(6)
    counts[number] = (counts[number] as number) + 1
  }
  // 10 000 each; the standard deviation is 91.
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 500, String(counts))
  for (const wrong of [0, -1, 1.5, 2 ** 32 + 1]) assert.throws(() => numbers.below(wrong), RangeError)
})

test('unit and normal numbers have the moments of their distributions', () => {
  const numbers = random(5, 5, 5, 5)
  const moments = (draw: () => number) => {
    const values = Array.from({ length: 50_000 }, draw)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length] as const
  }
  const [unitMean, unitVariance] = moments(() => numbers.unit())
  assert.ok(Math.abs(unitMean - 0.5) < 0.01 && Math.abs(unitVariance - 1 / 12) < 0.002)
  const [normalMean, normalVariance] = moments(() => numbers.normal())
  assert.ok(Math.abs(normalMean) < 0.03 && Math.abs(normalVariance - 1) < 0.03)
})

test('the order of a local epoch is the one another implementation finds', () => {
  const seed = new Uint8Array(32)
  assert.deepEqual([...epochOrder(seed, 0, 10)], [5, 8, 2, 9, 7, 6, 3, 4, 0, 1])
  assert.deepEqual([...epochOrder(seed, 1, 10)], [6, 4, 3, 7, 1, 5, 2, 8, 9, 0])
  assert.deepEqual(
    [...epochOrder(seed, 0, 6_000)].sort((a, b) => a - b),
    [...Array(6_000).keys()],
  )
  assert.equal(epochOrder(seed, 0, 0).length, 0)
})
