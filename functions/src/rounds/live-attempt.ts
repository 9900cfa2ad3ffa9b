import type { AttemptRef } from '@tributary/contracts/ids'
import type { Transaction } from '../database/transaction.ts'

/** The attempt of a task that is not settled; there is at most one. */
export const readLiveAttempt = async (sql: Transaction, task: string): Promise<AttemptRef | undefined> => {
  const [row] = await sql<AttemptRef[]>`
    select task, round, attempt from round_attempt where task = ${task} and state in ('open', 'collecting', 'closing')`
  return row
}
