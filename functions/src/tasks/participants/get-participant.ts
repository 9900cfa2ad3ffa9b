import { TributaryError } from '@tributary/contracts/errors'
import { deviceLogSource } from '@tributary/contracts/node-status'
import type { ParticipantView } from '@tributary/contracts/tasks'
import type { Context } from '../../context.ts'
import type { Handler } from '../../http/handler.ts'
import { type LogRow, logView } from '../../logs/log-row.ts'
import { logRows } from '../../logs/log-walk.ts'
import { actionOf } from '../reason-view.ts'
import { participantColumns } from './participants-page.ts'

const tail = { order: 'newest', above: 0, upTo: Number.MAX_SAFE_INTEGER, limit: 50 } as const
const mostAttempts = 100

/** One device's part in a round: how each attempt ended for it, and the tail of its log. @throws TributaryError NOT_FOUND */
export const getParticipant =
  ({ database }: Pick<Context, 'database'>): Handler<'getParticipant'> =>
  async ({ params: { task, round, device } }) => {
    const [attempts, logs] = await database.read(sql =>
      Promise.all([
        sql<ParticipantView[]>`
          select ${participantColumns(sql)} from participation p
          where p.device = ${device} and p.task = ${task} and p.round = ${round}
          order by p.attempt desc limit ${mostAttempts}`,
        sql<LogRow[]>`${logRows(sql, { device, task, round, level: 'debug' }, tail)}`,
      ]),
    )
    const [latest] = attempts
    if (latest === undefined) throw new TributaryError('NOT_FOUND')
    const newest = logs.slice(0, tail.limit).toReversed()
    return {
      task,
      round,
      device,
      label: latest.label,
      region: latest.region,
      attempts: attempts.toReversed().map(row => ({
        ...row,
        action: actionOf(row.code),
        deviceLog: deviceLogOf(newest, row.attempt),
      })),
      logs: newest.map(logView),
    }
  }

/** What the device wrote of an attempt: it comes in parts, in their order. */
const deviceLogOf = (rows: readonly LogRow[], attempt: number): string | null => {
  const parts = rows.filter(({ attempt: of, fields: { source } }) => of === attempt && source === deviceLogSource)
  return parts.length === 0 ? null : parts.map(({ message }) => message).join('\n')
}
