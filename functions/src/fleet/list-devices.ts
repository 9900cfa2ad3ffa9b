import { Slug, Uuid } from '@tributary/contracts/ids'
import * as z from 'zod'
import type { Context } from '../context.ts'
import { asJson, type Sql } from '../database/transaction.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler, RouteRequest } from '../http/handler.ts'
import { type DeviceRow, deviceColumns, deviceSources, deviceViewOf, isOnline } from './device-view.ts'

/** Labels come twice where a device was revoked and enrolled again. */
const Position = z.tuple([Slug, Uuid])

type Filters = RouteRequest<'listDevices'>['query']

/** Devices by label, revoked ones too unless `revoked=false`; a device fits where every filter fits. */
export const listDevices =
  ({ database }: Pick<Context, 'database'>): Handler<'listDevices'> =>
  async ({ query }) => {
    const rows = await database.read(sql => sql<DeviceRow[]>`${devicePage(sql, query)}`)
    return pageOf(rows, query.limit, { item: deviceViewOf, position: ({ label, id }) => [label, id] })
  }

/** One row more than the page has. */
export const devicePage = (sql: Sql, { cursor, limit, region, kind, prefix, ...filters }: Filters) => {
  const after = decodeCursor(cursor, Position)
  const { group, label, online, revoked, framework, dataset } = filters
  const conditions = [
    after === null ? null : sql`(d.label, d.id) > (${after[0]}, ${after[1]})`,
    region === undefined ? null : sql`d.region = ${region}`,
    kind === undefined ? null : sql`d.kind = ${kind}`,
    revoked === undefined ? null : revoked ? sql`d.revoked_at is not null` : sql`d.revoked_at is null`,
    group === undefined ? null : sql`d.groups @> ${[group]}::text[]`,
    label === undefined ? null : sql`d.labels @> ${sql.json(asJson(labelOf(label)))}`,
    framework === undefined ? null : sql`p.frameworks @> ${[framework]}::text[]`,
    dataset === undefined ? null : sql`p.dataset_names @> ${[dataset]}::text[]`,
    online === undefined ? null : online ? sql`p.online and ${isOnline(sql)}` : sql`${isOnline(sql)} is not true`,
    // `~` sorts behind all that a label may hold, in the order of bytes.
    prefix === undefined ? null : sql`d.label collate "C" >= ${prefix} and d.label collate "C" < ${`${prefix}~`}`,
  ].filter(condition => condition !== null)
  const where = conditions.reduce((all, condition) => sql`${all} and ${condition}`, sql`true`)
  return sql`
    select ${deviceColumns(sql)} ${deviceSources(sql)} where ${where} order by d.label, d.id limit ${limit + 1}`
}

const labelOf = (text: string): Record<string, string> => {
  const at = text.indexOf('=')
  return { [text.slice(0, at)]: text.slice(at + 1) }
}
