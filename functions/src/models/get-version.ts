import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { selectVersionView } from './version-view.ts'

export const getVersion =
  ({ database }: Pick<Context, 'database'>): Handler<'getVersion'> =>
  ({ params }) =>
    database.read(sql => selectVersionView(sql, params))
