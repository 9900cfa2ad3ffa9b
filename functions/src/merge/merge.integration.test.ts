import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { ObjectRef } from '@tributary/contracts/ids'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { noServerOptimiser } from '@tributary/learning/server-optimiser/server-optimiser'
import type { Manifest } from '@tributary/tensors/manifest'
import { layoutSafetensors } from '@tributary/tensors/safetensors/layout'
import { exampleSum, exampleWeights } from '../testing/example-model.ts'
import type { ShardResult } from '../testing/round-federation.ts'
import { testServices } from '../testing/test-services.ts'
import { importParticipation } from './import-participation.ts'
import { readMergeInput, type SummedShard } from './merge-input.ts'
import { mergeModel } from './merge-model.ts'
import { progressNotes } from './merge-progress.ts'

const services = testServices()

const some = { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 2 }

/** A federation of one region whose attempt is closed: the merge is all that is missing. */
const closed = async (result: ShardResult = some, attempts = 1) => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await federation.comeUp()
  const task = await federation.createTask({ attempts })
  const descriptor = (await federation.commands('round.opened'))[0]?.data as unknown as RoundDescriptor
  await federation.deliver(await federation.summed(descriptor, result))
  const ref = { task: task.id, round: 1, attempt: 1 }
  return { federation, task, ref, sumKey: `sums/${task.id}/1-1/north-0-1.safetensors` }
}

const emptyManifest: Manifest = {
  format: 'tributary.manifest/1',
  tensors: [],
  inputs: [],
  outputs: [],
  loss: 'mean-squared-error',
  labelKind: 'real',
}

const put = async (key: string, names: Parameters<typeof layoutSafetensors>[0], ...data: ArrayBufferView[]) => {
  const parts = data.map(array => Buffer.from(array.buffer, array.byteOffset, array.byteLength))
  return {
    objectKey: key,
    ...(await services.store.put(key, Buffer.concat([layoutSafetensors(names).header, ...parts]))),
  }
}

/** The exponent is 25. */
const rule = {
  weighting: 'examples',
  weightCap: 2 ** 16,
  maxUpdates: 4,
  bound: 1024,
  bufferBound: 1024,
  clippingNorm: null,
} as const

/** A merge of these files, its progress noted in the row of an attempt that waits for one. */
const mergeFiles = async (
  manifest: Manifest,
  base: ObjectRef,
  shards: readonly SummedShard[],
  key: string,
  onProgress: () => Promise<void> = async () => undefined,
) => {
  const { federation, ref } = await closed()
  const keys = { weights: key, state: `${key}.state` }
  const work = { manifest, rule, optimiser: noServerOptimiser, base, state: null, shards, keys }
  const notes = progressNotes(federation.context.database, ref)
  return mergeModel(services.store, work, notes, { signal: AbortSignal.timeout(30_000), onProgress })
}

test('a merge that runs twice at once, and once more later, has one effect', async () => {
  const { federation, task, ref } = await closed()
  const outcomes = await Promise.all([federation.merge(ref), federation.merge(ref)])
  assert.deepEqual(outcomes.toSorted(), ['committed', 'nothing'])
  assert.equal(await federation.merge(ref), 'nothing')
  const versions = await services.db.sql<{ sha256: string }[]>`
    select weights_sha256 as sha256 from model_version where task is not null`
  const expected = createHash('sha256')
    .update(exampleWeights([1.3, 3.8, 2.8], 7n))
    .digest('hex')
  assert.deepEqual([...versions], [{ sha256: expected }])
  assert.equal((await federation.getTask(task.id)).history[0]?.modelSha256, expected)
  assert.equal((await federation.commands('task.finished')).length, 1)
})

test('a merge before its attempt is closed, or of an attempt that never was, does nothing', async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await federation.comeUp()
  const task = await federation.createTask()
  assert.equal(await federation.merge({ task: task.id, round: 1, attempt: 1 }), 'nothing')
  assert.equal(await federation.merge({ task: task.id, round: 1, attempt: 2 }), 'nothing')
  assert.equal((await federation.getTask(task.id)).history[0]?.state, 'open')
})

const failures: [string, string, (key: string) => Promise<unknown>][] = [
  [
    'was changed after its shard declared it',
    'CHECKSUM_MISMATCH',
    key => services.store.put(key, exampleSum([31, 180, -20], 7n)),
  ],
  [
    'is of another model',
    'SHARD_SUM_MALFORMED',
    key => services.store.put(key, exampleSum([30, 180, -20], 7n).fill(0, 8, 20)),
  ],
  ['is gone', 'NOT_FOUND', key => services.store.delete(key)],
]
for (const [what, code, spoil] of failures) {
  test(`a shard sum that ${what} abandons the attempt, and no version is written`, async () => {
    const { federation, task, ref, sumKey } = await closed()
    await spoil(sumKey)
    assert.equal(await federation.merge(ref), 'abandoned')
    const failed = await federation.getTask(task.id)
    assert.equal(failed.state, 'failed')
    assert.equal(failed.history[0]?.reason, code)
    assert.equal(failed.currentVersion, federation.version)
    assert.equal(await services.store.head(`models/${federation.model}/tasks/${task.id}/1-1.safetensors`), null)
  })
}

test('a result that the dtype of the tensor cannot hold is refused, and no object becomes visible', async () => {
  // 65504 is the largest float16; the mean delta is 1000.
  const manifest: Manifest = {
    ...emptyManifest,
    tensors: [{ name: 'a', dtype: 'F16', shape: [1], policy: 'average' }],
  }
  const base = await put('half/base', [{ name: 'a', dtype: 'F16', shape: [1] }], Uint16Array.of(0x7bff))
  const sum = await put('half/sum', [{ name: 'sum/a', dtype: 'I64', shape: [1] }], BigInt64Array.of(1000n << 25n))
  const shards = [{ region: 'r', shard: 0, accepted: 1, weight: 1n, sum, participation: null, late: false }]
  await assert.rejects(mergeFiles(manifest, base, shards, 'half/next'), { code: 'RESULT_NOT_FINITE', tensor: 'a' })
  assert.equal(await services.store.head('half/next'), null)
})

test('a long participation list is taken in whole, and only once', async () => {
  const lines = Array.from({ length: 1201 }, (_, index) => ({
    device: `01890000-0000-7000-8000-${String(index).padStart(12, '0')}`,
    label: `device-${index}`,
    verdict: 'accepted' as const,
    examples: index,
  }))
  const { federation, ref } = await closed({ ...some, lines })
  await Promise.all([federation.merge(ref), federation.merge(ref)])
  const [row] = await services.db
    .sql`select count(*)::integer as rows, sum(examples)::integer as examples from participation`
  assert.deepEqual(row, { rows: 1201, examples: (1200 * 1201) / 2 })
})

test('taking in long participation lists shows that the merge lives', async () => {
  const lines = Array.from({ length: 1201 }, (_, index) => ({
    device: `01890000-0000-7000-8000-${String(index).padStart(12, '0')}`,
    label: `device-${index}`,
    verdict: 'accepted' as const,
  }))
  const { federation, ref } = await closed({ ...some, lines })
  const input = await services.db.database.read(sql => readMergeInput(sql, ref))
  assert.ok(input)
  const taken: number[] = []
  const onProgress = async () => void taken.push((await services.db.sql`select 1 from participation`).length)
  const signal = AbortSignal.timeout(30_000)
  await importParticipation(federation.context, ref, input.shards, { signal, onProgress })
  assert.deepEqual(taken, [500, 1000, 1201])
})

test('a participation list that is not what its shard declared is left out, and the round counts', async () => {
  const { federation, task, ref } = await closed()
  await services.store.put(`sums/${task.id}/1-1/north-0-1.participation.jsonl`, Buffer.from('{"device":1}\n'))
  await services.db.sql`update attempt_shard set participation_bytes = 13`
  assert.equal(await federation.merge(ref), 'committed')
  assert.equal((await services.db.sql`select 1 from participation`).length, 0)
})

test('a model of many parts merges to what the closed form says, by multipart', async () => {
  // 3 M elements: 12 MB of weights in six parts, 24 MB of sums. S_i = (i mod 1000 − 500) · 2^25, weight 4, base i mod 7.
  const length = 3_000_000
  const manifest: Manifest = {
    ...emptyManifest,
    tensors: [
      { name: 'a', dtype: 'F32', shape: [length], policy: 'average' },
      { name: 'b', dtype: 'F32', shape: [1], policy: 'frozen' },
    ],
  }
  const weights = [
    { name: 'a', dtype: 'F32' as const, shape: [length] },
    { name: 'b', dtype: 'F32' as const, shape: [1] },
  ]
  const base = await put(
    'big/base',
    weights,
    Float32Array.from({ length }, (_, i) => i % 7),
    Float32Array.of(5),
  )
  const half = BigInt64Array.from({ length }, (_, i) => BigInt((i % 1000) - 500) << 24n)
  const sum = await put('big/sum', [{ name: 'sum/a', dtype: 'I64', shape: [length] }], half)
  const shard = { region: 'r', accepted: 1, weight: 2n, sum, participation: null, late: false }
  let parts = 0
  const shards = [
    { ...shard, shard: 0 },
    { ...shard, shard: 1 },
  ]
  const { weights: written } = await mergeFiles(manifest, base, shards, 'big/next', async () => void parts++)
  const expected = await put(
    'big/expected',
    weights,
    Float32Array.from({ length }, (_, i) => (i % 7) + ((i % 1000) - 500) / 4),
    Float32Array.of(5),
  )
  assert.equal(written.sha256, expected.sha256)
  assert.equal(parts, 6)
  assert.equal((await services.store.head('big/next'))?.bytes, expected.bytes)
})
