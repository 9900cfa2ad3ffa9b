import { createHash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import { AttemptRef, attemptKey, type ObjectRef } from '@tributary/contracts/ids'
import { Manifest } from '@tributary/tensors/manifest'
import type { Context } from '../context.ts'
import type { InvocationHandler } from '../invocation/invoked-function.ts'
import { abandonAttempt } from '../rounds/abandon-attempt.ts'
import type { Reason } from '../rounds/reason.ts'
import { lockTask } from '../tasks/task-row.ts'
import { commitMerge } from './commit-merge.ts'
import { importParticipation } from './import-participation.ts'
import { type MergeInput, readMergeInput } from './merge-input.ts'
import { isLastingMergeError, mergeModel } from './merge-model.ts'

const maxManifestBytes = 16 * 1024 * 1024
/** How often a merge says that it lives; due work takes one for dead after 30 s. */
const beatMillis = 8000

export type MergeOutcome = 'committed' | 'abandoned' | 'nothing'

/**
 * Merges a closing attempt and commits the result. Keyed by attempt: started twice, at once or one after the other, it has
 * one effect, since the bytes are the same and the commit is conditional. For a settled attempt it takes in who took part, where that is due.
 */
export const mergeHandler =
  (context: Context): InvocationHandler =>
  async (payload, { signal }): Promise<MergeOutcome> => {
    const ref = AttemptRef.parse(payload)
    const input = await context.database.read(sql => readMergeInput(sql, ref))
    if (input === undefined || (input.state !== 'closing' && !input.participationDue)) return 'nothing'
    const beat = heartbeat(context, ref)
    // A merge has taken in all lists but those that came after it.
    const lists = input.shards.filter(({ late }) => late || input.state !== 'committed')
    await importParticipation(context, ref, lists, { signal, onProgress: beat })
    if (input.state !== 'closing') {
      await noteImported(context, ref, input)
      return 'nothing'
    }
    try {
      return await mergeAttempt(context, ref, input, { signal, onProgress: beat })
    } catch (error) {
      if (!isLastingMergeError(error)) throw error
      context.log.error({ error, ...ref }, 'the attempt cannot be merged')
      return await giveUp(context, ref, { code: error.code, detail: error.message })
    }
  }

const mergeAttempt = async (
  context: Context,
  ref: AttemptRef,
  input: MergeInput,
  progress: { signal: AbortSignal; onProgress: () => Promise<void> },
): Promise<MergeOutcome> => {
  const started = performance.now()
  const manifest = await readManifest(context, input.descriptor.manifest, progress.signal)
  const objectKey = `models/${input.model}/tasks/${ref.task}/${ref.round}-${ref.attempt}.safetensors`
  const written = await mergeModel(context.store, manifest, input, objectKey, progress)
  const version = await context.database.transaction(sql => commitMerge(context, sql, ref, { ...written, objectKey }))
  if (version === null) return 'nothing'
  const millis = Math.round(performance.now() - started)
  context.log.info({ ...ref, version, sha256: written.sha256, bytes: written.bytes, millis }, 'a round was committed')
  context.metrics.add({ MergeDuration: millis, MergeThroughput: written.bytes / 1000 / Math.max(1, millis) })
  return 'committed'
}

const heartbeat = ({ database }: Context, { task, round, attempt }: AttemptRef): (() => Promise<void>) => {
  let last = performance.now()
  return async () => {
    if (performance.now() - last < beatMillis) return
    last = performance.now()
    await database.read(
      sql => sql`update round_attempt set merge_started_at = now()
        where task = ${task} and round = ${round} and attempt = ${attempt} and (state = 'closing' or participation_due)`,
    )
  }
}

/** Notes that all lists are taken in, unless another one came meanwhile. */
const noteImported = ({ database }: Context, ref: AttemptRef, { shards }: MergeInput): Promise<unknown> => {
  const { task, round, attempt } = ref
  const known = shards.filter(({ participation }) => participation !== null).length
  return database.read(
    sql => sql`update round_attempt set participation_due = false
      where task = ${task} and round = ${round} and attempt = ${attempt} and participation_due and ${known} = (
        select count(*) from attempt_shard s
        where s.task = ${task} and s.round = ${round} and s.attempt = ${attempt} and s.participation_key is not null)`,
  )
}

/** @throws TributaryError CHECKSUM_MISMATCH, NOT_FOUND */
const readManifest = async ({ store }: Context, object: ObjectRef, signal: AbortSignal): Promise<Manifest> => {
  const bytes = await store.readAll(object.objectKey, maxManifestBytes, signal)
  if (createHash('sha256').update(bytes).digest('hex') !== object.sha256) {
    throw new TributaryError('CHECKSUM_MISMATCH', { detail: `object ${object.objectKey} has not the declared sha256` })
  }
  return Manifest.parse(JSON.parse(new TextDecoder().decode(bytes)))
}

const giveUp = (context: Context, ref: AttemptRef, reason: Reason): Promise<MergeOutcome> =>
  context.database.transaction(async sql => {
    const task = await lockTask(sql, ref.task)
    if (task === undefined) return 'nothing'
    const [closing] = await sql`
      select 1 from round_attempt
      where task = ${ref.task} and round = ${ref.round} and attempt = ${ref.attempt} and state = 'closing' for update`
    if (closing === undefined) return 'nothing'
    context.log.warn({ attempt: attemptKey(ref), reason }, 'the attempt is abandoned')
    await abandonAttempt(context, sql, task, ref, reason)
    return 'abandoned'
  })
