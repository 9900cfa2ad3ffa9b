import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { deviceViewOf, selectDevice } from './device-view.ts'

export const getDevice =
  ({ database }: Pick<Context, 'database'>): Handler<'getDevice'> =>
  async ({ params: { device } }) => {
    const row = await database.read(sql => selectDevice(sql, device))
    if (row === undefined) throw new TributaryError('NOT_FOUND')
    return deviceViewOf(row)
  }
