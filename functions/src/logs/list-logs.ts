import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { readLogs } from './read-logs.ts'

/** What the regions logged about everything. */
export const listLogs =
  ({ database }: Pick<Context, 'database'>): Handler<'listLogs'> =>
  ({ query, signal }) =>
    readLogs(database, { query, signal })
