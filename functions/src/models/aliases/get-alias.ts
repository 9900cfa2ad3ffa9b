import type { Context } from '../../context.ts'
import type { Handler } from '../../http/handler.ts'
import { aliasViewOf, selectAlias } from './alias-view.ts'

export const getAlias =
  ({ database }: Pick<Context, 'database'>): Handler<'getAlias'> =>
  async ({ params }) =>
    aliasViewOf(await database.read(sql => selectAlias(sql, params)))
