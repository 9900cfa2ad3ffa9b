import type { Transaction } from '../database/transaction.ts'

import { queuePlaces } from './queue-places.ts'

/**
 * Whether a queued task may start now: its time has come and its regions have slots for it. Regions with a limit stay
 * locked until the end of the transaction, so that two tasks never take the last slot. The caller holds the task's lock.
 */
export const hasTurn = async (
  sql: Transaction,
  { id, regions, startAt }: { readonly id: string; readonly regions: readonly string[]; readonly startAt: Date | null },
): Promise<boolean> => {
  const limited = await sql`
    select 1 from region
    where task_slots is not null and (${regions.length === 0} or region = any(${[...regions]}::text[]))
    order by region for no key update`
  if (limited.count === 0 && startAt === null) return true
  // A statement of its own: it must see what was committed while this one waited for the locks.
  const [free] = await sql`select 1 from (${queuePlaces(sql)}) q where q.id = ${id} and q."full" = '{}'`
  return free !== undefined
}
