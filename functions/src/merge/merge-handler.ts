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
import { isLastingMergeError, type MergeRun, type MergeWork, mergeModel } from './merge-model.ts'
import { AttemptSettledError, progressNotes } from './merge-progress.ts'
import { repeated } from './storage-retries.ts'
import { UploadGoneError } from './version-file.ts'

const maxManifestBytes = 16 * 1024 * 1024
/** Kept of the function's time for what is on its way to storage to arrive. */
const reserveMillis = 10_000
/** A merge that needs more than these, each as long as a function may run, does not come to an end. */
const mostRuns = 200
/** How often a merge says that it lives; due work takes one for dead after 30 s. */
const beatMillis = 8000

/** `continued`: another run has been started to go on. */
export type MergeOutcome = 'committed' | 'abandoned' | 'continued' | 'nothing'

/** The function's time ends before the merge. */
class OutOfTimeError extends Error {
  override readonly name = 'OutOfTimeError'
}

/**
 * Merges a closing attempt and commits the result. Keyed by attempt: started twice, at once or one after the other, it has
 * one effect, since the bytes are the same and the commit is conditional. A run whose time ends starts the next, which goes on from
 * what is stored. For a settled attempt it takes in who took part, where that is due.
 */
export const mergeHandler =
  (context: Context): InvocationHandler =>
  async (payload, { signal, remainingMillis }): Promise<MergeOutcome> => {
    const ref = AttemptRef.parse(payload)
    const input = await context.database.read(sql => readMergeInput(sql, ref))
    if (input === undefined || (input.state !== 'closing' && !input.participationDue)) return 'nothing'
    const run = { signal, onProgress: heartbeat(context, ref, remainingMillis) }
    try {
      if (!(await beginRun(context, ref))) {
        return await giveUp(context, ref, {
          code: 'UNAVAILABLE',
          detail: `the merge did not end within ${mostRuns} runs`,
        })
      }
      // A merge has taken in all lists but those that came after it.
      const lists = input.shards.filter(({ late }) => late || input.state !== 'committed')
      await importParticipation(context, ref, lists, run)
      if (input.state !== 'closing') {
        await noteImported(context, ref, input)
        return 'nothing'
      }
      return await mergeAttempt(context, ref, input, run)
    } catch (error) {
      if (error instanceof AttemptSettledError) return 'nothing'
      if (error instanceof OutOfTimeError || error instanceof UploadGoneError) {
        // The next run goes on with what this one stored; should it not start, due work finds the silence.
        await context.startMerge(ref)
        return 'continued'
      }
      if (!isLastingMergeError(error)) throw error
      context.log.error({ error, ...ref }, 'the attempt cannot be merged')
      return await giveUp(context, ref, { code: error.code, detail: error.message })
    }
  }

const mergeAttempt = async (
  context: Context,
  ref: AttemptRef,
  input: MergeInput,
  run: MergeRun,
): Promise<MergeOutcome> => {
  const started = performance.now()
  const { descriptor, optimizer } = input
  const folder = `models/${input.model}/tasks/${ref.task}/${ref.round}-${ref.attempt}`
  const work: MergeWork = {
    manifest: await readManifest(context, descriptor.manifest, run.signal),
    rule: descriptor.sum,
    optimiser: optimizer,
    base: descriptor.base,
    state: input.optimizerState,
    shards: input.shards.filter(({ late }) => !late),
    keys: { weights: `${folder}.safetensors`, state: `${folder}.optimizer.safetensors` },
  }
  const merged = {
    ...(await mergeModel(context.store, work, progressNotes(context.database, ref), run)),
    optimizer: optimizer.name,
  }
  const version = await context.database.transaction(sql => commitMerge(context, sql, ref, merged))
  if (version === null) return 'nothing'
  const millis = Math.round(performance.now() - started)
  const { sha256, bytes } = merged.weights
  context.log.info({ ...ref, version, sha256, bytes, millis }, 'a round was committed')
  context.metrics.add({ MergeDuration: millis, MergeThroughput: bytes / 1000 / Math.max(1, millis) })
  return 'committed'
}

/** Counts the runs of a merge. @returns whether there may be another one */
const beginRun = async ({ database }: Context, { task, round, attempt }: AttemptRef): Promise<boolean> => {
  const [row] = await database.read(
    sql => sql<{ runs: number }[]>`
      update round_attempt set merge_started_at = now(), merge_runs = merge_runs + 1
      where task = ${task} and round = ${round} and attempt = ${attempt} and state = 'closing'
      returning merge_runs as runs`,
  )
  return row === undefined || row.runs <= mostRuns
}

/** Says that the merge lives; ends it where its result would no longer count, or where the function's time ends. */
const heartbeat = ({ database }: Context, ref: AttemptRef, remainingMillis: () => number): (() => Promise<void>) => {
  const { task, round, attempt } = ref
  let last = performance.now()
  return async () => {
    if (remainingMillis() < reserveMillis) throw new OutOfTimeError()
    if (performance.now() - last < beatMillis) return
    last = performance.now()
    const { count } = await database.read(
      sql => sql`update round_attempt set merge_started_at = now()
        where task = ${task} and round = ${round} and attempt = ${attempt} and (state = 'closing' or participation_due)`,
    )
    if (count === 0) throw new AttemptSettledError()
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
  const bytes = await repeated(() => store.readAll(object.objectKey, maxManifestBytes, signal), signal)
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
