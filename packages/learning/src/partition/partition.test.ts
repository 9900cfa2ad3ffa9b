import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseSplit, partition, type Split } from './partition.ts'

/** As many examples of each of ten labels, mixed. */
const digits = Uint8Array.from({ length: 6_000 }, (_, i) => (i * 7) % 10)

const labelsOf = (part: Uint32Array) => new Set(Array.from(part, example => digits[example]))

/** Share of a device's most frequent label, averaged over devices: 0.1 for an even mixture, 1 for one label each. */
function skew(parts: Uint32Array[]): number {
  const shares = parts.map(part => {
    const counts = Array(10).fill(0)
    for (const example of part) counts[digits[example] as number] += 1
    return Math.max(...counts) / part.length
  })
  return shares.reduce((sum, share) => sum + share, 0) / shares.length
}

const anySplit = fc.oneof(
  fc.constant<Split>({ kind: 'iid' }),
  fc.constant<Split>({ kind: 'shards' }),
  fc.double({ min: 1e-3, max: 1e3, noNaN: true }).map((alpha): Split => ({ kind: 'dirichlet', alpha })),
)

test('every example is used once and no device is empty, whatever the split', () => {
  const cases = fc.nat({ max: 9 }).chain(classes =>
    fc.record({
      labels: fc.array(fc.nat({ max: classes }), { minLength: 2, maxLength: 80 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      split: anySplit,
      seed: fc.string(),
    }),
  )
  fc.assert(
    fc.property(cases, ({ labels, share, split, seed }) => {
      const devices = 1 + Math.floor(share * (labels.length / (split.kind === 'shards' ? 2 : 1) - 1))
      const parts = partition(labels, devices, split, seed.toWellFormed())
      assert.equal(parts.length, devices)
      assert.ok(parts.every(part => part.length > 0))
      assert.deepEqual(
        parts.flatMap(part => [...part]).sort((a, b) => a - b),
        [...labels.keys()],
      )
    }),
    { numRuns: 500 },
  )
})

test('the same seed divides alike, another differently', () => {
  for (const split of [{ kind: 'iid' }, { kind: 'shards' }, { kind: 'dirichlet', alpha: 0.5 }] as const) {
    assert.deepEqual(partition(digits, 10, split, '1'), partition(digits, 10, split, '1'))
    assert.notDeepEqual(partition(digits, 10, split, '1'), partition(digits, 10, split, '2'))
  }
})

test('an iid split gives every device the same number and a mixture of all labels', () => {
  const parts = partition(digits, 10, { kind: 'iid' }, '1')
  assert.ok(parts.every(part => part.length === 600 && labelsOf(part).size === 10))
  assert.ok(skew(parts) < 0.15)
})

test('two label shards show a device two labels at most', () => {
  const parts = partition(digits, 10, { kind: 'shards' }, '1')
  assert.ok(parts.every(part => part.length === 600 && labelsOf(part).size <= 2))
})

test('Dirichlet splits are the more skewed the smaller alpha is', () => {
  const skews = [0.01, 0.5, 1000].map(alpha => skew(partition(digits, 10, { kind: 'dirichlet', alpha }, '1')))
  const [most = 0, middle = 0, least = 1] = skews
  assert.ok(most > 0.8 && middle < most && middle > least && least < 0.15, String(skews))
})

test('too few examples are refused', () => {
  assert.throws(() => partition([1, 2, 3], 4, { kind: 'iid' }, ''), RangeError)
  assert.throws(() => partition([1, 2, 3], 2, { kind: 'shards' }, ''), RangeError)
  assert.throws(() => partition([1], 0, { kind: 'iid' }, ''), RangeError)
})

test('splits are read from their names', () => {
  assert.deepEqual(parseSplit('iid'), { kind: 'iid' })
  assert.deepEqual(parseSplit('shards'), { kind: 'shards' })
  assert.deepEqual(parseSplit('dirichlet:0.5'), { kind: 'dirichlet', alpha: 0.5 })
  for (const wrong of ['', 'IID', 'dirichlet', 'dirichlet:', 'dirichlet:0', 'dirichlet:-1', 'dirichlet:1e9', 'iid:1']) {
    assert.equal(parseSplit(wrong), null)
  }
})
