import { Uuid } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler } from '../http/handler.ts'
import { type ModelRow, modelColumns, modelViewOf } from './model-view.ts'

/** Models, newest first: ids are by time. */
export const listModels =
  ({ database }: Pick<Context, 'database'>): Handler<'listModels'> =>
  async ({ query: { cursor, limit } }) => {
    const before = decodeCursor(cursor, Uuid)
    const rows = await database.read(
      sql => sql<ModelRow[]>`
        select ${modelColumns(sql)} from model m
        ${before === null ? sql`` : sql`where m.id < ${before}`}
        order by m.id desc limit ${limit + 1}`,
    )
    return pageOf(rows, limit, { item: modelViewOf, position: ({ id }) => id })
  }
