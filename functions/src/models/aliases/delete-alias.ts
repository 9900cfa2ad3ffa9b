import type { Context } from '../../context.ts'
import type { Handler } from '../../http/handler.ts'
import { selectAlias } from './alias-view.ts'
import { lockAliases, noteChange } from './change-alias.ts'

export const deleteAlias =
  ({ audit }: Pick<Context, 'audit'>): Handler<'deleteAlias'> =>
  async ({ params, actor }, sql) => {
    await lockAliases(sql, params.model)
    const { change } = await selectAlias(sql, params)
    await noteChange({ audit }, sql, params, { action: 'deleted', version: null, before: change, actor })
    await sql`delete from model_alias where model = ${params.model} and alias = ${params.alias}`
  }
