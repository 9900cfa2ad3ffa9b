import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { buryVersion } from './bury-version.ts'
import { selectVersionView } from './version-view.ts'

export const deleteVersion =
  ({ audit }: Pick<Context, 'audit'>): Handler<'deleteVersion'> =>
  async ({ params, actor }, sql) => {
    await buryVersion({ audit }, sql, { ...params, actor })
    return selectVersionView(sql, params)
  }
