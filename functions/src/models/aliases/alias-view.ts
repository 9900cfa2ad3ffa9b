import { TributaryError } from '@tributary/contracts/errors'
import type { AliasView } from '@tributary/contracts/models'
import type { Sql } from '../../database/transaction.ts'

export type AliasRow = {
  alias: string
  model: string
  version: string
  number: number
  change: number
  changed_at: Date
  changed_by: string
  before_change: number | null
  before_version: string | null
  before_number: number | null
}

/** Rows of AliasRow; `where` goes behind it. */
export const selectAliases = (sql: Sql) => sql`
  select a.alias, a.model, a.version, v.number, a.change, c.changed_at, c.changed_by, b.id as before_change,
    b.version as before_version, bv.number as before_number
  from model_alias a
  join model_version v on v.id = a.version
  join model_alias_change c on c.id = a.change
  left join model_alias_change b on b.id = c.before
  left join model_version bv on bv.id = b.version`

/** @throws TributaryError NOT_FOUND where there is no such model, ALIAS_UNKNOWN */
export const selectAlias = async (
  sql: Sql,
  { model, alias }: { readonly model: string; readonly alias: string },
): Promise<AliasRow> => {
  const [row] = await sql<AliasRow[]>`${selectAliases(sql)} where a.model = ${model} and a.alias = ${alias}`
  if (row !== undefined) return row
  const known = await sql`select from model where id = ${model}`
  throw known.length === 0 ? new TributaryError('NOT_FOUND') : new TributaryError('ALIAS_UNKNOWN')
}

export const aliasViewOf = (row: AliasRow): AliasView => ({
  alias: row.alias,
  model: row.model,
  version: row.version,
  number: row.number,
  before:
    row.before_version === null || row.before_number === null
      ? null
      : { version: row.before_version, number: row.before_number },
  changedAt: row.changed_at.toISOString(),
  changedBy: row.changed_by,
})
