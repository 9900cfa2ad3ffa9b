import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { ShardSummed } from '@tributary/contracts/events'
import { attemptKey, type ObjectRef } from '@tributary/contracts/ids'
import type { MetricSums } from '@tributary/contracts/round'
import type { ShardSum } from '@tributary/learning/exact-sum/shard-sum'
import type { ObjectStore } from '../storage/object-store.ts'
import type { ShardState } from './shard-state.ts'

/** Sums additive integer metrics exactly. */
export const sumMetrics = (all: Iterable<MetricSums>): MetricSums => {
  const sums = new Map<string, bigint>()
  for (const metrics of all) {
    for (const [name, value] of Object.entries(metrics)) sums.set(name, (sums.get(name) ?? 0n) + BigInt(value))
  }
  return Object.fromEntries([...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, sum]) => [name, `${sum}`]))
}

/** Writes a result beside the log, then to object storage, and says what it is. */
const storeResult = async (
  file: string,
  objectKey: string,
  chunks: Iterable<Uint8Array>,
  store: ObjectStore,
  signal: AbortSignal,
): Promise<ObjectRef> => {
  const hash = createHash('sha256')
  let bytes = 0
  {
    await using handle = await open(file, 'w', 0o600)
    for (const chunk of chunks) {
      hash.update(chunk)
      bytes += chunk.byteLength
      await handle.writeFile(chunk)
    }
  }
  const object = { objectKey, sha256: hash.digest('hex'), bytes }
  await store.write(file, object, signal)
  return object
}

/**
 * Stores what a closed shard contributes, the sum and the participation list, and returns the event that tells central.
 * May be done again: the same log gives the same sum under the same keys.
 * @param sum null where no update of weight above zero was accepted
 * @param participation the list's lines, asked for at the last moment: who is late shows until then
 */
export const storeShardResult = async (
  { descriptor, plan, reports, selected, accepted, empty }: ShardState,
  sum: ShardSum | null,
  participation: () => string,
  { folder, node, store, signal }: { folder: string; node: string; store: ObjectStore; signal: AbortSignal },
): Promise<ShardSummed> => {
  const { task, round, attempt } = descriptor
  const { region, shard, epoch } = plan
  const key = `sums/${task}/${round}-${attempt}/${region}-${shard}-${epoch}`
  if (accepted > 0 && sum?.totals.updates !== accepted) {
    throw new Error(`${attemptKey(descriptor)}: the sum holds ${sum?.totals.updates} of ${accepted} accepted updates`)
  }
  const stored =
    sum === null || accepted === 0
      ? null
      : await storeResult(join(folder, 'sum.safetensors'), `${key}.safetensors`, sum.chunks(), store, signal)
  const list = [Buffer.from(participation())]
  const listed = await storeResult(
    join(folder, 'participation.jsonl'),
    `${key}.participation.jsonl`,
    list,
    store,
    signal,
  )
  const metrics = [...reports.values()].flatMap(report =>
    report.verdict === 'accepted' && report.weight > 0 ? [report.metrics] : [],
  )
  return {
    task,
    round,
    attempt,
    region,
    shard,
    epoch,
    node,
    sum: stored,
    participation: listed,
    weight: `${stored === null ? 0n : (sum?.totals.weight ?? 0n)}`,
    accepted,
    selected: selected.size,
    empty,
    metrics: sumMetrics(metrics),
  }
}
