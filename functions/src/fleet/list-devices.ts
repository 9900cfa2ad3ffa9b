import { Slug, Uuid } from '@tributary/contracts/ids'
import * as z from 'zod'
import type { Context } from '../context.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler } from '../http/handler.ts'
import { type DeviceRow, deviceColumns, deviceViewOf } from './device-view.ts'

/** Labels come twice where a device was revoked and enrolled again. */
const Position = z.tuple([Slug, Uuid])

/** Devices by label, revoked ones too. */
export const listDevices =
  ({ database }: Pick<Context, 'database'>): Handler<'listDevices'> =>
  async ({ query: { cursor, limit, region } }) => {
    const after = decodeCursor(cursor, Position)
    const rows = await database.read(
      sql => sql<DeviceRow[]>`
        select ${deviceColumns(sql)} from device d join region r on r.region = d.region
        where true
          ${after === null ? sql`` : sql`and (d.label, d.id) > (${after[0]}, ${after[1]})`}
          ${region === undefined ? sql`` : sql`and d.region = ${region}`}
        order by d.label, d.id limit ${limit + 1}`,
    )
    return pageOf(rows, limit, { item: deviceViewOf, position: ({ label, id }) => [label, id] })
  }
