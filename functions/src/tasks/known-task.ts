import { TributaryError } from '@tributary/contracts/errors'
import type { Sql } from '../database/transaction.ts'

/** @throws TributaryError NOT_FOUND where there is no such task */
export const checkTaskKnown = async (sql: Sql, task: string): Promise<void> => {
  const { count } = await sql`select 1 from task where id = ${task}`
  if (count === 0) throw new TributaryError('NOT_FOUND')
}
