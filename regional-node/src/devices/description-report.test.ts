import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { DeviceDatasets } from '@tributary/contracts/dataset-description'
import {
  type DatasetDescriptionSchema,
  DatasetDescriptionsSchema,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { NodeStatusRequest } from '@tributary/contracts/node-status'
import { DescriptionReport } from './description-report.ts'

const Page = NodeStatusRequest.shape.datasetDescriptions.unwrap()
const idOf = (number: number): string => `01900000-0000-7000-8000-${`${number}`.padStart(12, '0')}`
const digestOf = (letter: string) => letter.repeat(64)
const [one, two] = [digestOf('1'), digestOf('2')]

type Descriptions = MessageInitShape<typeof DatasetDescriptionSchema>[]
const said = (digest: string, datasets: Descriptions = []) => create(DatasetDescriptionsSchema, { digest, datasets })
const schema = { format: 'csv', shape: [3n], dtype: 'f32', columns: ['a', 'b', 'c'], labelKind: 'class', labels: 1 }

const begin = () => {
  const time = { now: 0 }
  const epochs = new Map([[0, 1]])
  const report = new DescriptionReport({ epochOf: shard => epochs.get(shard) }, { monotonic: () => time.now })
  const hear = (number: number, digest: string, sent?: ReturnType<typeof said>) =>
    report.heard({ device: idOf(number), shard: 0 }, digest, sent)
  const told = () => {
    const page = report.next()
    Page.parse(page)
    report.confirmed()
    return page
  }
  return { time, epochs, report, hear, told }
}

test('a device is asked once for what central does not know, and what it sends goes on once', () => {
  const { report, hear, told } = begin()
  assert.equal(hear(1, one), true)
  const sent = said(one, [
    { name: 'digits', schema: { ...schema, classes: 10, classNames: ['zero'] }, labelCounts: [3n, 4n] },
    { name: 'plain', schema: { ...schema, columns: [], labelKind: 'real' } },
  ])
  assert.equal(hear(1, one, sent), false)
  const label = { kind: 'class' as const, size: 1 }
  assert.deepEqual(report.next(), [
    {
      device: idOf(1),
      digest: one,
      datasets: [
        {
          name: 'digits',
          schema: {
            format: 'csv',
            shape: [3],
            dtype: 'f32',
            columns: ['a', 'b', 'c'],
            label: { ...label, classes: 10, classNames: ['zero'] },
          },
          labelCounts: [3, 4],
        },
        { name: 'plain', schema: { format: 'csv', shape: [3], dtype: 'f32', label: { kind: 'real', size: 1 } } },
      ],
    },
  ])
  // A call that was not answered is made good by the next.
  assert.equal(told().length, 1)
  assert.equal(hear(1, one), false)
  assert.deepEqual([told(), report.hasMore], [[], false])
})

test('what changes is heard once a minute, and anew in another epoch of the shard; no digest, no question', () => {
  const { time, epochs, hear, told } = begin()
  assert.equal(hear(1, ''), false)
  assert.equal(hear(1, 'no digest'), false)
  hear(1, one, said(one))
  assert.deepEqual(told()[0]?.datasets, [])
  assert.equal(hear(1, two), false)
  time.now = 60_000
  assert.equal(hear(1, two), true)
  // It sent what it had said before.
  assert.equal(hear(1, two, said(one)), true)
  hear(1, two, said(two))
  assert.equal(told()[0]?.digest, two)
  time.now = 120_000
  epochs.set(0, 2)
  assert.equal(hear(1, two), true)
})

test('more than a device may tell is dropped, and not asked for again', () => {
  const { hear, told, report } = begin()
  const long = Array.from({ length: 257 }, () => 'c')
  const hostile: Descriptions[] = [
    Array.from({ length: 65 }, (_, index) => ({ name: `d${index}` })),
    [{ name: '../etc' }],
    [{ name: 'a', labelCounts: Array.from({ length: 1001 }, () => 1n) }],
    [{ name: 'a', labelCounts: [2n ** 63n] }],
    [{ name: 'a', schema: { ...schema, columns: long } }],
    [{ name: 'a', schema: { ...schema, columns: ['c'.repeat(129)] } }],
    [{ name: 'a', schema: { ...schema, shape: [] } }],
    [{ name: 'a', schema: { ...schema, labelKind: 'secret' } }],
    // Each is within its bounds, and all of them together are not.
    Array.from({ length: 64 }, (_, index) => ({
      name: `d${index}`,
      schema: { ...schema, columns: Array.from({ length: 10 }, () => 'c'.repeat(100)) },
    })),
  ]
  for (const [index, datasets] of hostile.entries()) {
    assert.equal(hear(index, one, said(one, datasets)), false, `${index}`)
    assert.equal(hear(index, one), false, `${index}`)
  }
  assert.deepEqual([told(), report.hasMore], [[], false])
})

test('pages are bounded by devices and bytes, and nobody is asked while too much waits', () => {
  const { hear, told, report } = begin()
  const large = said(one, [
    { name: 'a', schema: { ...schema, columns: Array.from({ length: 240 }, () => 'c'.repeat(120)) } },
  ])
  let number = 0
  while (hear(number, one) && number < 10_000) {
    hear(number, one, large)
    number += 1
  }
  // 4 MiB of about 29 700 bytes each.
  assert.ok(number > 130 && number < 150, `${number}`)
  const page = told()
  assert.equal(page.length, 4)
  assert.ok(page.every(described => DeviceDatasets.safeParse(described).success))
  assert.equal(hear(10_000, one), true)
  while (report.hasMore) told()
  assert.equal(told().length, 0)
  for (let small = 20_000; small < 20_500; small += 1) hear(small, one, said(one))
  assert.deepEqual([told().length, report.hasMore], [200, true])
})
