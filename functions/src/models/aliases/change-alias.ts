import { TributaryError } from '@tributary/contracts/errors'
import type { AliasChange } from '@tributary/contracts/models'
import type { Context } from '../../context.ts'
import type { Transaction } from '../../database/transaction.ts'

export type AliasRef = { readonly model: string; readonly alias: string }

/**
 * Aliases of a model change one after the other.
 * @throws TributaryError NOT_FOUND
 */
export const lockAliases = async (sql: Transaction, model: string): Promise<void> => {
  const locked = await sql`select from model where id = ${model} for no key update`
  if (locked.length === 0) throw new TributaryError('NOT_FOUND')
}

/** Notes a change in history and audit; the caller holds the model's aliases. @returns its number */
export const noteChange = async (
  { audit }: Pick<Context, 'audit'>,
  sql: Transaction,
  { model, alias }: AliasRef,
  change: { action: AliasChange['action']; version: string | null; before: number | null; actor: string },
): Promise<number> => {
  const { action, version, before, actor } = change
  const [row] = await sql<[{ id: number }]>`
    insert into model_alias_change (model, alias, action, version, before, changed_by)
    values (${model}, ${alias}, ${action}, ${version}, ${before}, ${actor}) returning id`
  audit.append(sql, { actor, action: `alias.${action}`, subject: `model/${model}`, detail: { alias, version } })
  return row.id
}
