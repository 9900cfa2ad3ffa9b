import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ShardSummed } from '@tributary/contracts/events'
import { attemptKey, type ObjectRef } from '@tributary/contracts/ids'
import { failpoint } from '../log/failpoint.ts'
import { freshSalt, type LogKey } from '../log/log-key.ts'
import { type FileRange, SealedWriter } from '../log/sealed-file.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import type { ShardState } from './round/shard-state.ts'

export type ResultPlace = {
  readonly folder: string
  readonly key: LogKey
  readonly node: string
  readonly store: ObjectStore
  readonly signal: AbortSignal
}

/**
 * Stores what a closed shard contributes, the sum and the participation list, and returns the event that tells central.
 * May be done again: the same log gives the same sum under the same keys. Everything is streamed.
 * @param sum the file that holds every accepted update; null where no update of weight above zero was accepted
 * @param participation the list's lines, read at the last moment: who is late shows until then
 */
export const storeShardResult = async (
  state: ShardState,
  sum: FileRange | null,
  participation: AsyncIterable<string>,
  place: ResultPlace,
): Promise<ShardSummed> => {
  const { descriptor, plan, folded, selected, accepted, empty, metrics } = state
  const { task, round, attempt } = descriptor
  const { region, shard, epoch } = plan
  const { node, store, signal } = place
  const key = `sums/${task}/${round}-${attempt}/${region}-${shard}-${epoch}`
  const updates = folded?.sum.updates ?? 0
  if (updates !== accepted || accepted > 0 !== (sum !== null)) {
    throw new Error(`${attemptKey(descriptor)}: the sum holds ${updates} of ${accepted} accepted updates`)
  }
  let stored: ObjectRef | null = null
  if (sum !== null && folded !== undefined) {
    const { sha256, bytes } = folded.sum
    stored = { objectKey: `${key}.safetensors`, sha256, bytes }
    await store.write(sum, stored, signal)
    failpoint('result.after-sum')
  }
  const listed = await storeList(`${key}.participation.jsonl`, participation, place)
  failpoint('result.after-list')
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
    weight: stored === null ? '0' : (folded?.sum.weight ?? '0'),
    accepted,
    selected: selected.size,
    empty,
    metrics: metrics.sums,
  }
}

/** The list's length and hash must be known before it is sent: it goes through a sealed file. */
const storeList = async (
  objectKey: string,
  lines: AsyncIterable<string>,
  { folder, key, store, signal }: ResultPlace,
): Promise<ObjectRef> => {
  const path = join(folder, 'participation')
  const seal = key.file(freshSalt())
  try {
    const hash = createHash('sha256')
    let bytes = 0
    {
      await using file = await SealedWriter.create(path, seal)
      for await (const part of grouped(lines)) {
        hash.update(part)
        await file.write(part)
        signal.throwIfAborted()
      }
      bytes = file.end
    }
    const object = { objectKey, sha256: hash.digest('hex'), bytes }
    await store.write({ path, offset: 0, bytes, seal }, object, signal)
    return object
  } finally {
    await rm(path, { force: true })
  }
}

const linesAtOnce = 256

async function* grouped(lines: AsyncIterable<string>): AsyncGenerator<Buffer> {
  let group: string[] = []
  for await (const line of lines) {
    group.push(line)
    if (group.length < linesAtOnce) continue
    yield Buffer.from(group.join(''))
    group = []
  }
  if (group.length > 0) yield Buffer.from(group.join(''))
}
