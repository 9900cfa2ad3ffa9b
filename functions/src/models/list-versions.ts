import { TributaryError } from '@tributary/contracts/errors'
import * as z from 'zod'
import type { Context } from '../context.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler } from '../http/handler.ts'
import { type VersionViewRow, versionViewColumns, versionViewOf } from './version-view.ts'

const Position = z
  .int()
  .min(0)
  .max(2 ** 31 - 1)

/** Versions of a model, newest first. */
export const listVersions =
  ({ database }: Pick<Context, 'database'>): Handler<'listVersions'> =>
  async ({ params: { model }, query: { cursor, limit } }) => {
    const before = decodeCursor(cursor, Position)
    const rows = await database.read(async sql => {
      const found = await sql`select 1 from model where id = ${model}`
      if (found.length === 0) throw new TributaryError('NOT_FOUND')
      return sql<VersionViewRow[]>`
        select ${versionViewColumns(sql)} from model_version v
        where v.model = ${model} ${before === null ? sql`` : sql`and v.number < ${before}`}
        order by v.number desc limit ${limit + 1}`
    })
    return pageOf(rows, limit, { item: versionViewOf, position: ({ number }) => number })
  }
