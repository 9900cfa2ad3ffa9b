import type { CreateTask, TaskState } from '@tributary/contracts/tasks'
import type { Sql, Transaction } from '../database/transaction.ts'
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
  /** Hex. */
  readonly seed: string
  readonly waitingSince: Date | null
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly finishedAt: Date | null
  readonly createdBy: string
}

export const taskColumns = (sql: Sql) => sql`
  id, name, state, reason, model, start_version as "startVersion", current_version as "currentVersion",
  rounds_wanted as "roundsWanted", rounds_committed as "roundsCommitted", settings, seed, waiting_since as "waitingSince",
  created_at as "createdAt", started_at as "startedAt", finished_at as "finishedAt", created_by as "createdBy"`

/**
 * Locks the task until the end of the transaction. Whoever changes a task, its attempts or their shards takes this lock
 * first, then shards, then the attempt: so nobody waits for one another in a circle.
 */
export const lockTask = async (sql: Transaction, task: string): Promise<TaskRow | undefined> => {
  const [row] = await sql<TaskRow[]>`select ${taskColumns(sql)} from task where id = ${task} for no key update`
  return row
}
