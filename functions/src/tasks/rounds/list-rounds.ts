import * as z from 'zod'
import type { Context } from '../../context.ts'
import { decodeCursor, pageOf } from '../../http/cursor.ts'
import type { Handler } from '../../http/handler.ts'
import { checkTaskKnown } from '../known-task.ts'
import { readRounds } from './read-rounds.ts'

/** The rounds of a task, each with its latest attempt. @throws TributaryError NOT_FOUND */
export const listRounds =
  ({ database }: Pick<Context, 'database'>): Handler<'listRounds'> =>
  async ({ params, query: { cursor, limit, order } }) => {
    const after = decodeCursor(cursor, z.int32().positive())
    const [, rounds] = await database.read(sql =>
      Promise.all([checkTaskKnown(sql, params.task), readRounds(sql, params.task, { order, after, limit: limit + 1 })]),
    )
    return pageOf(rounds, limit, { item: round => round, position: ({ round }) => round })
  }
