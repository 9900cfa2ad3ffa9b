import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { checkTaskKnown } from '../tasks/known-task.ts'
import { readLogs } from './read-logs.ts'

/** What the regions logged about a task, or what they log while the caller waits. @throws TributaryError NOT_FOUND */
export const listTaskLogs =
  ({ database }: Pick<Context, 'database'>): Handler<'listTaskLogs'> =>
  async ({ params: { task }, query: { round, ...query }, signal }) => {
    await database.read(sql => checkTaskKnown(sql, task))
    return readLogs(database, { query, about: { task, round }, signal })
  }
