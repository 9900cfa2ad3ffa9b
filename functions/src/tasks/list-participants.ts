import { TributaryError } from '@tributary/contracts/errors'
import { Uuid } from '@tributary/contracts/ids'
import type { ParticipantView } from '@tributary/contracts/tasks'
import * as z from 'zod'
import type { Context } from '../context.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler } from '../http/handler.ts'

/** Round, attempt and device of the last row of a page. */
const Position = z.tuple([z.int32().positive(), z.int32().positive(), Uuid])

/** Who took part in a task, by round, attempt and device. */
export const listParticipants =
  ({ database }: Pick<Context, 'database'>): Handler<'listParticipants'> =>
  async ({ params, query: { cursor, limit, round } }) => {
    const after = decodeCursor(cursor, Position)
    const [known, rows] = await database.read(sql =>
      Promise.all([
        sql`select 1 from task where id = ${params.task}`,
        sql<ParticipantView[]>`
          select round, attempt, region, device, label, verdict, code, detail, examples, bytes, seconds, metrics
          from participation
          where task = ${params.task}
            and ${after === null ? sql`true` : sql`(round, attempt, device) > (${after[0]}, ${after[1]}, ${after[2]})`}
            and ${round === undefined ? sql`true` : sql`round = ${round}`}
          order by round, attempt, device limit ${limit + 1}`,
      ]),
    )
    if (known.length === 0) throw new TributaryError('NOT_FOUND')
    return pageOf(rows, limit, { item: row => row, position: row => [row.round, row.attempt, row.device] })
  }
