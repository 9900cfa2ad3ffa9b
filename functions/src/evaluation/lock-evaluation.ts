import type { Transaction } from '../database/transaction.ts'
import { lockTask, type TaskRow } from '../tasks/task-row.ts'

/** Locks the task of an evaluation, then the evaluation. @returns undefined when there is none */
export const lockEvaluation = async (
  sql: Transaction,
  evaluation: string,
): Promise<{ readonly task: TaskRow; readonly state: 'open' | 'closed' } | undefined> => {
  const [known] = await sql<{ task: string }[]>`select task from evaluation where id = ${evaluation}`
  const task = known && (await lockTask(sql, known.task))
  const [row] = await sql<{ state: 'open' | 'closed' }[]>`
    select state from evaluation where id = ${evaluation} for update`
  return task && row && { task, state: row.state }
}
