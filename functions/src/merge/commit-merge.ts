import type { AttemptRef } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { openEvaluation } from '../evaluation/open-evaluation.ts'
import { nextVersionNumber } from '../models/version-number.ts'
import { startQueued } from '../queue/start-queued.ts'
import { announceTask } from '../rounds/announce-task.ts'
import { moveAttempt } from '../rounds/move-attempt.ts'
import { openNextAttempt } from '../rounds/open-next-attempt.ts'
import { systemActor } from '../rounds/system-actor.ts'
import { tellRegions } from '../rounds/tell-regions.ts'
import { moveTask } from '../tasks/move-task.ts'
import { lockTask, type TaskRow } from '../tasks/task-row.ts'
import type { MergedObjects } from './merge-model.ts'

/** The files of a new version, and which optimiser its state belongs to. */
export type MergedVersion = MergedObjects & { readonly optimizer: string }

/**
 * Makes a merged object the current version of its task: attempt, version, task, evaluation, next round and messages in one
 * transaction. Task and attempt are looked at again under the task's lock, so a task cancelled meanwhile, or another merge
 * of the same attempt that came first, leaves nothing to do.
 * @returns the new version, or null when there was nothing to do
 */
export const commitMerge = async (
  context: Context,
  sql: Transaction,
  ref: AttemptRef,
  merged: MergedVersion,
): Promise<string | null> => {
  const task = await lockTask(sql, ref.task)
  if (task === undefined || task.state !== 'running' || task.roundsCommitted !== ref.round - 1) return null
  const [attempt] = await sql<{ base: string }[]>`
    select base_version as base from round_attempt
    where task = ${ref.task} and round = ${ref.round} and attempt = ${ref.attempt} and state = 'closing' for update`
  if (attempt === undefined || attempt.base !== task.currentVersion) return null
  const version = context.ids.next()
  await insertVersion(sql, task, ref, version, merged)
  await moveAttempt(context, sql, ref, 'commit', { actor: systemActor, version })
  const advanced = await sql`
    update task set current_version = ${version}, rounds_committed = ${ref.round}
    where id = ${task.id} and state = 'running' and rounds_committed = ${ref.round - 1}`
  if (advanced.count !== 1) throw new Error(`task ${task.id} changed under its lock`)
  await tellRegions(context, sql, ref, 'round.settled', { ...ref, outcome: 'committed' })
  await openEvaluation(context, sql, task, { round: ref.round, version })
  if (ref.round < task.roundsWanted) await openNextAttempt(context, sql, task.id)
  else await completeTask(context, sql, task)
  return version
}

const insertVersion = async (
  sql: Transaction,
  task: TaskRow,
  ref: AttemptRef,
  version: string,
  { weights, state, optimizer }: MergedVersion,
): Promise<void> => {
  const number = await nextVersionNumber(sql, task.model)
  await sql`
    insert into model_version (id, model, number, state, parent, task, round, attempt, weights_key, weights_sha256,
      weights_bytes, manifest_key, manifest_sha256, manifest_bytes, graph_key, graph_sha256, graph_bytes,
      statistics, optimizer_name, optimizer_state_key, optimizer_state_sha256, optimizer_state_bytes, created_by)
    select ${version}, model, ${number}, 'ready', id,
      ${task.id}, ${ref.round}, ${ref.attempt}, ${weights.objectKey}, ${weights.sha256}, ${weights.bytes},
      manifest_key, manifest_sha256, manifest_bytes, graph_key, graph_sha256, graph_bytes, statistics,
      ${state && optimizer}, ${state?.objectKey ?? null}, ${state?.sha256 ?? null}, ${state?.bytes ?? null},
      ${`task:${task.id}`}
    from model_version where id = ${task.currentVersion}`
}

const completeTask = async (context: Context, sql: Transaction, task: TaskRow): Promise<void> => {
  await moveTask(context, sql, task.id, 'complete', { actor: systemActor })
  sql.afterCommit('queue', () => startQueued(context))
  await announceTask(context, sql, task.id, 'task.finished', { task: task.id, state: 'completed' })
}
