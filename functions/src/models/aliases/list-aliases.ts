import { TributaryError } from '@tributary/contracts/errors'
import { Slug } from '@tributary/contracts/ids'
import type { Context } from '../../context.ts'
import { decodeCursor, pageOf } from '../../http/cursor.ts'
import type { Handler } from '../../http/handler.ts'
import { type AliasRow, aliasViewOf, selectAliases } from './alias-view.ts'

export const listAliases =
  ({ database }: Pick<Context, 'database'>): Handler<'listAliases'> =>
  async ({ params: { model }, query: { cursor, limit } }) => {
    const after = decodeCursor(cursor, Slug)
    const rows = await database.read(async sql => {
      const known = await sql`select from model where id = ${model}`
      if (known.length === 0) throw new TributaryError('NOT_FOUND')
      return sql<AliasRow[]>`
        ${selectAliases(sql)} where a.model = ${model} and ${after === null ? sql`true` : sql`a.alias > ${after}`}
        order by a.alias limit ${limit + 1}`
    })
    return pageOf(rows, limit, { item: aliasViewOf, position: ({ alias }) => alias })
  }
