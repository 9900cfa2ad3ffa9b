import type { ObjectRef } from '@tributary/contracts/ids'
import type { KeptLocal } from '@tributary/contracts/personalisation'
import { CreateTask, type QueuePlace, type TaskState } from '@tributary/contracts/tasks'
import type { Sql, Transaction } from '../database/transaction.ts'
import { queueColumn, queueColumnOfOne } from '../queue/queue-places.ts'
import type { Reason } from '../rounds/reason.ts'

/** A task as the database keeps it; `settings` are CreateTask as validated. */
export type TaskRow = {
  readonly id: string
  readonly name: string
  readonly state: TaskState
  readonly reason: Reason | null
  readonly model: string
  readonly startVersion: string
  readonly currentVersion: string
  readonly roundsWanted: number
  readonly roundsCommitted: number
  readonly settings: CreateTask
  /** Where it runs; empty: everywhere. A dry run's are not those of its settings. */
  readonly regions: readonly string[]
  /** Version of the statistics by which data sets are normalised. */
  readonly statistics: string | null
  /** By which its rounds go instead of the version's own; null: that. */
  readonly manifest: ObjectRef | null
  readonly keptLocal: KeptLocal | null
  /** Hex. */
  readonly seed: string
  readonly waitingSince: Date | null
  readonly startAt: Date | null
  /** Its place while it is queued. */
  readonly queue: QueuePlace | null
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly finishedAt: Date | null
  readonly createdBy: string
}

/**
 * Columns of a TaskRow over `task`.
 * @param queue `queueColumnOfOne` where there is one row
 */
export const taskColumns = (sql: Sql, queue: ReturnType<typeof queueColumn> = queueColumn(sql)) => sql`
  id, name, state, reason, model, start_version as "startVersion", current_version as "currentVersion",
  rounds_wanted as "roundsWanted", rounds_committed as "roundsCommitted", settings,
  coalesce(regions, array(select jsonb_array_elements_text(settings -> 'regions'))) as regions, seed,
  statistics, manifest, kept_local as "keptLocal",
  waiting_since as "waitingSince", start_at as "startAt", ${queue} as queue,
  created_at as "createdAt", started_at as "startedAt", finished_at as "finishedAt", created_by as "createdBy"`

/**
 * Locks the task until the end of the transaction. Whoever changes a task, its attempts, their shards or its evaluations takes
 * this lock first, then shards, then the attempt or the evaluation: so nobody waits for one another in a circle. Settings
 * written by a version before have the newer fields' defaults.
 * @param options `place`: whether to work out its place in the queue, which is in no column (@default true)
 */
export const lockTask = async (
  sql: Transaction,
  task: string,
  { place = true }: { readonly place?: boolean } = {},
): Promise<TaskRow | undefined> => {
  const queue = place ? queueColumnOfOne(sql) : sql`null::jsonb`
  const [row] = await sql<TaskRow[]>`select ${taskColumns(sql, queue)} from task where id = ${task} for no key update`
  if (row === undefined) return undefined
  const settings = CreateTask.safeParse(row.settings)
  // What a later version would refuse goes on as it was accepted.
  return settings.success ? { ...row, settings: settings.data } : row
}
