import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../../context.ts'
import type { Handler } from '../../http/handler.ts'
import { holdVersion } from '../version-row.ts'
import { aliasViewOf, selectAlias } from './alias-view.ts'
import { lockAliases, noteChange } from './change-alias.ts'

/** Promotes a version; only over the expected one where the caller names it. The version that it names already: nothing changes. */
export const setAlias =
  ({ audit }: Pick<Context, 'audit'>): Handler<'setAlias'> =>
  async ({ params, body: { version, expected }, actor }, sql) => {
    const { model, alias } = params
    await lockAliases(sql, model)
    await holdVersion(sql, { model, version })
    const [current] = await sql<{ version: string; change: number }[]>`
      select version, change from model_alias where model = ${model} and alias = ${alias}`
    if (expected !== undefined && expected !== (current?.version ?? null)) {
      throw new TributaryError('ALIAS_MOVED', { extra: { version: current?.version ?? null } })
    }
    if (current?.version !== version) {
      const before = current?.change ?? null
      const change = await noteChange({ audit }, sql, params, { action: 'promoted', version, before, actor })
      await sql`
        insert into model_alias (model, alias, version, change) values (${model}, ${alias}, ${version}, ${change})
        on conflict (model, alias) do update set version = excluded.version, change = excluded.change`
    }
    return aliasViewOf(await selectAlias(sql, params))
  }
