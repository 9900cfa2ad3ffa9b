import { TributaryError } from '@tributary/contracts/errors'
import type { Sql } from '../database/transaction.ts'

/**
 * The version that an alias of a model names now. Inside a transaction the alias stays as it is until the end.
 * @returns version id
 * @throws TributaryError NOT_FOUND where there is no such model, ALIAS_UNKNOWN
 */
export const resolveAlias = async (sql: Sql, model: string, alias: string): Promise<string> => {
  const [found] = await sql<{ version: string }[]>`
    select version from model_alias where model = ${model} and alias = ${alias} for share`
  if (found !== undefined) return found.version
  const [known] = await sql`select 1 from model where id = ${model}`
  if (known === undefined) throw new TributaryError('NOT_FOUND', { detail: `There is no model ${model}.` })
  throw new TributaryError('ALIAS_UNKNOWN', { detail: `Model ${model} has no alias ${alias}.` })
}
