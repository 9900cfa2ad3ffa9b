import { Uuid } from '@tributary/contracts/ids'
import type { Context } from '../../context.ts'
import { decodeCursor, pageOf } from '../../http/cursor.ts'
import type { Handler } from '../../http/handler.ts'
import { type CodeRow, codeColumns, codeViewOf } from './code-view.ts'

/** Enrolment codes, newest first, with what is left of them. */
export const listEnrolmentCodes =
  ({ database }: Pick<Context, 'database'>): Handler<'listEnrolmentCodes'> =>
  async ({ query: { cursor, limit } }) => {
    const before = decodeCursor(cursor, Uuid)
    const rows = await database.read(
      sql => sql<CodeRow[]>`
        select ${codeColumns(sql)} from enrolment_code
        ${before === null ? sql`` : sql`where id < ${before}`} order by id desc limit ${limit + 1}`,
    )
    return pageOf(rows, limit, { item: codeViewOf, position: ({ id }) => id })
  }
