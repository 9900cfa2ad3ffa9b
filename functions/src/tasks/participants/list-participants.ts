import { Uuid } from '@tributary/contracts/ids'
import type { ParticipantView } from '@tributary/contracts/tasks'
import * as z from 'zod'
import type { Context } from '../../context.ts'
import { decodeCursor, pageOf } from '../../http/cursor.ts'
import type { Handler } from '../../http/handler.ts'
import { checkTaskKnown } from '../known-task.ts'
import { participantsPage } from './participants-page.ts'

const Position = z.tuple([z.int32().positive(), z.int32().positive(), Uuid])

/** Who took part in a task, by round, attempt and device. @throws TributaryError NOT_FOUND */
export const listParticipants =
  ({ database }: Pick<Context, 'database'>): Handler<'listParticipants'> =>
  async ({ params: { task }, query: { cursor, limit, ...filters } }) => {
    const after = decodeCursor(cursor, Position)
    const [, rows] = await database.read(sql =>
      Promise.all([
        checkTaskKnown(sql, task),
        sql<ParticipantView[]>`${participantsPage(sql, { task, filters, after, limit })}`,
      ]),
    )
    return pageOf(rows, limit, { item: row => row, position: row => [row.round, row.attempt, row.device] })
  }
