import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../../context.ts'
import type { Handler } from '../../http/handler.ts'
import { holdVersion } from '../version-row.ts'
import { aliasViewOf, selectAlias } from './alias-view.ts'
import { lockAliases, noteChange } from './change-alias.ts'

/** Goes one promotion back, and with each repetition one more: what was rolled back is never come back to. */
export const rollBackAlias =
  ({ audit }: Pick<Context, 'audit'>): Handler<'rollBackAlias'> =>
  async ({ params, body: { expected }, actor }, sql) => {
    const { model, alias } = params
    await lockAliases(sql, model)
    const current = await selectAlias(sql, params)
    if (expected !== undefined && expected !== current.version) {
      throw new TributaryError('ALIAS_MOVED', { extra: { version: current.version } })
    }
    const version = current.before_version
    if (version === null) throw new TributaryError('ALIAS_AT_START')
    await holdVersion(sql, { model, version })
    const [target] = await sql<{ before: number | null }[]>`
      select before from model_alias_change where id = ${current.before_change}`
    const before = target?.before ?? null
    const change = await noteChange({ audit }, sql, params, { action: 'rolled-back', version, before, actor })
    await sql`
      update model_alias set version = ${version}, change = ${change} where model = ${model} and alias = ${alias}`
    return aliasViewOf(await selectAlias(sql, params))
  }
