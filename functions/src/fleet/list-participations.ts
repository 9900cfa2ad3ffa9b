import type { DeviceParticipation } from '@tributary/contracts/fleet'
import { Uuid } from '@tributary/contracts/ids'
import * as z from 'zod'
import type { Context } from '../context.ts'
import type { Sql } from '../database/transaction.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler } from '../http/handler.ts'

type Row = Omit<DeviceParticipation, 'taskName' | 'settledAt'> & { task_name: string; settled_at: Date | null }
const Position = z.tuple([Uuid, z.int32(), z.int32()])

/** Rounds that a device took part in: of the newest task first, and in a task the newest round. */
export const listDeviceParticipations =
  ({ database }: Pick<Context, 'database'>): Handler<'listDeviceParticipations'> =>
  async ({ params: { device }, query: { cursor, limit } }) => {
    const before = decodeCursor(cursor, Position)
    const rows = await database.read(sql => sql<Row[]>`${participationPage(sql, device, before, limit)}`)
    return pageOf(rows, limit, {
      item: ({ task_name: taskName, settled_at: settled, ...row }) => ({
        ...row,
        taskName,
        settledAt: settled?.toISOString() ?? null,
      }),
      position: ({ task, round, attempt }) => [task, round, attempt],
    })
  }

/** One row more than the page has. */
export const participationPage = (
  sql: Sql,
  device: string,
  before: z.infer<typeof Position> | null,
  limit: number,
) => sql`
  select p.task, t.name as task_name, p.round, p.attempt, p.verdict, p.code, p.detail, p.examples, p.bytes, p.seconds,
    a.settled_at
  from participation p join task t on t.id = p.task
    join round_attempt a on a.task = p.task and a.round = p.round and a.attempt = p.attempt
  where p.device = ${device}
    ${before === null ? sql`` : sql`and (p.task, p.round, p.attempt) < (${before[0]}, ${before[1]}, ${before[2]})`}
  order by p.task desc, p.round desc, p.attempt desc limit ${limit + 1}`
