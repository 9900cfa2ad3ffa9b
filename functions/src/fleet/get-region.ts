import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { selectRegion } from './region-view.ts'

/** @throws TributaryError NOT_FOUND */
export const getRegion =
  ({ database }: Pick<Context, 'database'>): Handler<'getRegion'> =>
  async ({ params: { region } }) => {
    const view = await database.read(sql => selectRegion(sql, region))
    if (view === undefined) throw new TributaryError('NOT_FOUND')
    return view
  }
