import { TributaryError } from '@tributary/contracts/errors'
import type { Transaction } from '../database/transaction.ts'

/**
 * The number of a model's next version, from 0. Locks the model until the transaction ends, so that no two versions have one
 * number. That of an upload which was abandoned and removed stays free, or is given again where it was the last.
 * @throws TributaryError NOT_FOUND
 */
export const nextVersionNumber = async (sql: Transaction, model: string): Promise<number> => {
  const locked = await sql`select 1 from model where id = ${model} for update`
  if (locked.length === 0) throw new TributaryError('NOT_FOUND')
  const [row] = await sql<{ next: number }[]>`
    select coalesce(max(number), -1) + 1 as next from model_version where model = ${model}`
  return row?.next ?? 0
}
