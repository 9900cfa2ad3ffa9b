import { TributaryError } from '@tributary/contracts/errors'
import type { CreateTask } from '@tributary/contracts/tasks'
import type { Sql } from '../database/transaction.ts'
import { resolveAlias } from '../models/resolve-alias.ts'

/** A version that a task can start from. */
export type ChosenVersion = {
  readonly id: string
  readonly hasGraph: boolean
  /** Number of means and variances; null for a model. */
  readonly statistics: number | null
  /** Of the task that made it. */
  readonly round: number | null
}

/**
 * The version that a task names, the one that its alias names now, or the newest finalised one of its model.
 * Inside a transaction nobody deletes it before the end.
 * @throws TributaryError NOT_FOUND, ALIAS_UNKNOWN, MODEL_VERSION_NOT_READY
 */
export const chooseVersion = async (
  sql: Sql,
  { model, version: named, alias }: CreateTask['model'],
): Promise<ChosenVersion> => {
  const version = alias === undefined ? named : await resolveAlias(sql, model, alias)
  const [row] = await sql<(ChosenVersion & { ready: boolean })[]>`
    select id, state = 'ready' as ready, graph_key is not null as "hasGraph", statistics, round from model_version
    where model = ${model} and ${version === undefined ? sql`state = 'ready'` : sql`id = ${version}`}
    order by number desc limit 1
    for key share`
  if (row?.ready === true) return row
  const [known] = await sql`select 1 from model where id = ${model}`
  if (known === undefined) throw new TributaryError('NOT_FOUND', { detail: `There is no model ${model}.` })
  if (version !== undefined && row === undefined) {
    throw new TributaryError('NOT_FOUND', { detail: `Model ${model} has no version ${version}.` })
  }
  const detail =
    version === undefined ? `Model ${model} has no finalised version.` : `Version ${version} is not finalised.`
  throw new TributaryError('MODEL_VERSION_NOT_READY', { detail })
}
