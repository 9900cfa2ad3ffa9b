import * as z from 'zod'
import type { Context } from '../context.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler } from '../http/handler.ts'
import { type DeviceRow, deviceColumns, deviceViewOf } from './device-view.ts'

/** Devices by label, revoked ones too. */
export const listDevices =
  ({ database }: Pick<Context, 'database'>): Handler<'listDevices'> =>
  async ({ query: { cursor, limit, region } }) => {
    const after = decodeCursor(cursor, z.string().max(63)) ?? ''
    const rows = await database.read(
      sql => sql<DeviceRow[]>`
        select ${deviceColumns(sql)} from device d join region r on r.region = d.region
        where d.label > ${after} ${region === undefined ? sql`` : sql`and d.region = ${region}`}
        order by d.label limit ${limit + 1}`,
    )
    return pageOf(rows, limit, { item: deviceViewOf, position: ({ label }) => label })
  }
