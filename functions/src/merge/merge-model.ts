import { createHash, type Hash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import type { ObjectRef } from '@tributary/contracts/ids'
import { PartMerge } from '@tributary/learning/exact-sum/merge'
import { planMerge } from '@tributary/learning/exact-sum/merge-plan'
import { checkShardSumHeader, shardSumLayout } from '@tributary/learning/exact-sum/shard-sum-layout'
import { SumError } from '@tributary/learning/exact-sum/sum-error'
import { attemptTotals } from '@tributary/learning/exact-sum/totals'
import { type Manifest, weightsLayout } from '@tributary/tensors/manifest'
import type { ObjectStore, WrittenObject } from '../adapters/object-store.ts'
import type { MergeInput } from './merge-input.ts'
import { type Read, readAhead } from './read-ahead.ts'

/** Of the version file at a time; a part of a shard sum is two to four times as long. */
const partBytes = 2 * 1024 * 1024
/** Reads in flight. With the parts above, less than 100 MB are held at once, whatever the size of the model. */
const readWindow = 8

type Source = { readonly object: ObjectRef; readonly hash: Hash }

/**
 * Writes the next version of a model: base + Σ sums / Σ weights, part by part and without ever holding it whole. Every
 * object is hashed as it passes; nothing becomes visible unless all of them are what their shards declared.
 * @param onProgress called after each part
 * @throws SumError, TributaryError CHECKSUM_MISMATCH, NOT_FOUND, UNAVAILABLE
 */
export const mergeModel = async (
  store: ObjectStore,
  manifest: Manifest,
  { descriptor, shards }: Pick<MergeInput, 'descriptor' | 'shards'>,
  key: string,
  { signal, onProgress }: { signal: AbortSignal; onProgress: () => Promise<void> },
): Promise<WrittenObject> => {
  const rule = descriptor.sum
  const totals = attemptTotals(
    shards.map(({ accepted, weight }) => ({ updates: accepted, weight })),
    rule,
  )
  const layout = shardSumLayout(manifest)
  const base = sourceOf(descriptor.base)
  const sums = shards.flatMap(({ sum, accepted }) => (sum === null || accepted === 0 ? [] : [sourceOf(sum)]))
  if (base.object.bytes !== weightsLayout(manifest).fileBytes) {
    throw new TributaryError('CHECKSUM_MISMATCH', {
      detail: 'the base version has not the size that its manifest says',
    })
  }
  const parts = planMerge(manifest, partBytes)
  const headerEnd = layout.header.byteLength

  // In the order in which they are used below.
  function* reads(): Generator<Read<Uint8Array>> {
    for (const { object } of sums) yield rangeOf(store, object, 0, headerEnd)
    for (const part of parts) {
      for (const { object } of sums) yield rangeOf(store, object, part.sum.begin, part.sum.end)
      yield rangeOf(store, base.object, part.weights.begin, part.weights.end)
    }
  }
  await using ranges = readAhead(reads(), readWindow, signal)
  const take = async ({ hash }: Source): Promise<Uint8Array> => {
    const { value, done } = await ranges.next()
    if (done) throw new Error('the merge took more ranges than it planned')
    hash.update(value)
    return value
  }

  for (const source of sums) checkShardSumHeader(await take(source), source.object.bytes, layout)
  await using writer = store.openWriter(key, { signal })
  const merge = new PartMerge(rule)
  for (const part of parts) {
    merge.begin(part)
    for (const source of sums) merge.addShard(await take(source))
    await writer.write(merge.finish(await take(base), totals.weight).weights)
    await onProgress()
  }
  for (const source of [base, ...sums]) checkHash(source)
  // Awaited here: the writer is disposed on return, which throws away what is not finished.
  return await writer.finish()
}

/** What a failed merge says about the attempt: a merge of the same objects would fail again. */
export const isLastingMergeError = (error: unknown): error is SumError | TributaryError =>
  error instanceof SumError ||
  (error instanceof TributaryError && (error.code === 'CHECKSUM_MISMATCH' || error.code === 'NOT_FOUND'))

const sourceOf = (object: ObjectRef): Source => ({ object, hash: createHash('sha256') })

const rangeOf =
  (store: ObjectStore, { objectKey }: ObjectRef, start: number, end: number): Read<Uint8Array> =>
  signal =>
    store.readRange(objectKey, { start, end }, signal)

const checkHash = ({ object, hash }: Source): void => {
  if (hash.digest('hex') !== object.sha256) {
    throw new TributaryError('CHECKSUM_MISMATCH', { detail: `object ${object.objectKey} has not the declared sha256` })
  }
}
