import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DatasetDescriptions } from '@tributary/contracts/dataset-description'
import { closedShare, openPolicy } from '../policy/policy.ts'
import type { DescribedDataset } from './describe-dataset.ts'
import { toldData } from './told-data.ts'

const { share } = openPolicy
const nameless = {
  format: 'csv',
  shape: [2],
  dtype: 'f32' as const,
  label: { kind: 'class' as const, size: 1, classes: 2 },
}
const schema = { ...nameless, columns: ['a', 'b'], label: { ...nameless.label, classNames: ['cat', 'dog'] } }
const found: DescribedDataset[] = [
  { name: 'z', heldOut: false, examples: 3, schema, labelCounts: [1, 2] },
  { name: 'shy', heldOut: true, examples: 4 },
  { name: 'a', heldOut: false, examples: 5, labelCounts: [5, 0] },
]

test('what the declarations let out is told in the order of names, less what the policy keeps', () => {
  const all = toldData(found, share)
  assert.deepEqual(all.datasets, [
    { name: 'z', heldOut: false, examples: 3 },
    { name: 'shy', heldOut: true, examples: 4 },
    { name: 'a', heldOut: false, examples: 5 },
  ])
  assert.deepEqual(all.descriptions, [
    { name: 'a', labelCounts: [5, 0] },
    { name: 'z', schema, labelCounts: [1, 2] },
  ])
  const kept = toldData(found, { ...share, labelHistograms: false })
  assert.deepEqual(kept.descriptions, [{ name: 'z', schema }])
  assert.deepEqual(toldData(found, { ...share, names: false }).descriptions[1]?.schema, nameless)
  assert.deepEqual(toldData(found, closedShare).descriptions, [{ name: 'z', schema: nameless }])
  assert.equal(toldData(found.toReversed(), share).digest, all.digest)
  assert.notEqual(kept.digest, all.digest)
})

test('a device tells no more than central takes: names go first, then counts, then whole descriptions', () => {
  const columns = Array.from({ length: 150 }, (_, index) => `column-${index}-${'c'.repeat(90)}`)
  const many = Array.from({ length: 80 }, (_, index) => ({
    name: `set-${String(index).padStart(2, '0')}`,
    heldOut: false,
    examples: 1,
    schema: { ...schema, columns },
    labelCounts: Array.from({ length: 900 }, () => 1),
  }))
  const { datasets, descriptions } = toldData(many, share)
  assert.equal(datasets.length, 80)
  DatasetDescriptions.parse(descriptions)
  assert.deepEqual(
    [0, 1, 5].map(index => [descriptions[index]?.schema?.columns?.length, descriptions[index]?.labelCounts?.length]),
    [
      [150, 900],
      [undefined, 900],
      [undefined, undefined],
    ],
  )
  assert.equal(descriptions.length, 64)
})

test('counts without a schema are told as long as there is room', () => {
  const labelCounts = Array.from({ length: 1000 }, () => 2 ** 40)
  const many = ['c', 'b', 'a', 'd'].map(name => ({ name, heldOut: false, examples: 1, labelCounts }))
  // 14 000 bytes each.
  assert.deepEqual(
    toldData(many, share).descriptions.map(({ name }) => name),
    ['a', 'b'],
  )
})
