import type { Context } from '../context.ts'
import { openNextAttempt } from '../rounds/open-next-attempt.ts'
import { queuePlaces } from './queue-places.ts'

const mostTasks = 20

/**
 * Starts tasks that waited for a slot, after one became free. For after the commit; where it is not called, or fails, the
 * next status call does the same. Costs one small query where no region has a limit.
 */
export const startQueued = async (context: Context): Promise<void> => {
  const tasks = await context.database.read(
    sql => sql<{ id: string }[]>`
      select q.id from (${queuePlaces(sql)}) q
      where q."full" = '{}' and exists (select from region where task_slots is not null) order by q.rank limit ${mostTasks}`,
  )
  for (const { id } of tasks) await context.database.transaction(sql => openNextAttempt(context, sql, id))
}
