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

/** Versions of a model by number. */
export const listVersions =
  ({ database }: Pick<Context, 'database'>): Handler<'listVersions'> =>
  async ({ params: { model }, query: { cursor, limit, state, task, alias, order } }) => {
    const last = decodeCursor(cursor, Position)
    const rows = await database.read(async sql => {
      const found = await sql`select 1 from model where id = ${model}`
      if (found.length === 0) throw new TributaryError('NOT_FOUND')
      const [beyond, direction] =
        order === 'newest' ? [sql`v.number < ${last}`, sql`desc`] : [sql`v.number > ${last}`, sql`asc`]
      return sql<VersionViewRow[]>`
        select ${versionViewColumns(sql)} from model_version v
        where v.model = ${model} and ${last === null ? sql`true` : beyond}
          and ${state === undefined ? sql`v.state <> 'deleted'` : sql`v.state = ${state}`}
          and ${task === undefined ? sql`true` : sql`v.task = ${task}`}
          and ${
            alias === undefined
              ? sql`true`
              : sql`v.id in (select version from model_alias_change where model = ${model} and alias = ${alias})`
          }
        order by v.number ${direction} limit ${limit + 1}`
    })
    return pageOf(rows, limit, { item: versionViewOf, position: ({ number }) => number })
  }
