import type { Sql } from '../../database/transaction.ts'
import type { RouteRequest } from '../../http/handler.ts'

export type ParticipantFilters = Omit<RouteRequest<'listParticipants'>['query'], 'cursor' | 'limit'>
/** Round, attempt and device of the last row of a page. */
export type ParticipantPosition = readonly [round: number, attempt: number, device: string]
export type ParticipantsPage = {
  readonly task: string
  readonly filters: ParticipantFilters
  readonly after: ParticipantPosition | null
  readonly limit: number
}

/** Columns of a ParticipantView over `participation p`. */
export const participantColumns = (sql: Sql) => sql`
  p.round, p.attempt, p.region, p.device, p.label, p.verdict, p.code, p.detail, p.examples, p.weight, p.bytes, p.seconds,
  p.metrics`

/** One row more than the page has, by round, attempt and device. Each filter has an index that leads to what it wants. */
export const participantsPage = (sql: Sql, page: ParticipantsPage) => {
  const { device, code } = page.filters
  return device === undefined && code === undefined ? byAttempt(sql, page) : direct(sql, page)
}

/** One device, or one code, are few rows with an index of their own. */
const direct = (sql: Sql, page: ParticipantsPage) => {
  const { device, code, round, attempt } = page.filters
  return sql`
    select ${participantColumns(sql)} from participation p
    where p.task = ${page.task} ${own(sql, page)}
      ${device === undefined ? sql`` : sql`and p.device = ${device}`}
      ${code === undefined ? sql`` : sql`and p.code = ${code}`}
      ${round === undefined ? sql`` : sql`and p.round = ${round}`}
      ${attempt === undefined ? sql`` : sql`and p.attempt = ${attempt}`}
    order by p.round, p.attempt, p.device limit ${page.limit + 1}`
}

/** The counts tell which attempts hold any such part, so that those without are not walked through. */
const byAttempt = (sql: Sql, page: ParticipantsPage) => {
  const { task, after, limit } = page
  const { round, attempt, region, verdict } = page.filters
  return sql`
    select p.* from (
      select round, attempt from participation_count
      where task = ${task}
        ${after === null ? sql`` : sql`and (round, attempt) >= (${after[0]}, ${after[1]})`}
        ${round === undefined ? sql`` : sql`and round = ${round}`}
        ${attempt === undefined ? sql`` : sql`and attempt = ${attempt}`}
        ${region === undefined ? sql`` : sql`and region = ${region}`}
        ${verdict === undefined ? sql`` : sql`and verdict = ${verdict}`}
      group by round, attempt order by round, attempt
    ) a cross join lateral (
      select ${participantColumns(sql)} from participation p
      where p.task = ${task} and p.round = a.round and p.attempt = a.attempt ${own(sql, page)}
      order by p.device limit ${limit + 1}
    ) p
    order by a.round, a.attempt, p.device limit ${limit + 1}`
}

/** What every row must fit beside its attempt. */
const own = (sql: Sql, { after, filters: { region, verdict } }: ParticipantsPage) => sql`
  ${after === null ? sql`` : sql`and (p.round, p.attempt, p.device) > (${after[0]}, ${after[1]}, ${after[2]})`}
  ${region === undefined ? sql`` : sql`and p.region = ${region}`}
  ${verdict === undefined ? sql`` : sql`and p.verdict = ${verdict}`}
  ${verdict === undefined || verdict === 'accepted' ? sql`` : sql`and p.verdict <> 'accepted'`}`
