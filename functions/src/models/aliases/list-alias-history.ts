import { TributaryError } from '@tributary/contracts/errors'
import type { AliasChange } from '@tributary/contracts/models'
import * as z from 'zod'
import type { Context } from '../../context.ts'
import { decodeCursor, pageOf } from '../../http/cursor.ts'
import type { Handler } from '../../http/handler.ts'

type ChangeRow = {
  id: number
  action: AliasChange['action']
  version: string | null
  number: number | null
  changed_at: Date
  changed_by: string
}

/** Changes of an alias, newest first; also of one that was deleted. */
export const listAliasHistory =
  ({ database }: Pick<Context, 'database'>): Handler<'listAliasHistory'> =>
  async ({ params: { model, alias }, query: { cursor, limit } }) => {
    const before = decodeCursor(cursor, z.int().positive())
    const rows = await database.read(
      sql => sql<ChangeRow[]>`
        select c.id, c.action, c.version, v.number, c.changed_at, c.changed_by
        from model_alias_change c left join model_version v on v.id = c.version
        where c.model = ${model} and c.alias = ${alias} and ${before === null ? sql`true` : sql`c.id < ${before}`}
        order by c.id desc limit ${limit + 1}`,
    )
    if (rows.length === 0 && before === null) throw new TributaryError('ALIAS_UNKNOWN')
    return pageOf(rows, limit, { item: changeView, position: ({ id }) => id })
  }

const changeView = ({ action, version, number, changed_at, changed_by }: ChangeRow): AliasChange => ({
  action,
  version,
  number,
  changedAt: changed_at.toISOString(),
  changedBy: changed_by,
})
