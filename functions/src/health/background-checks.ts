import type { Sql } from '../database/transaction.ts'

/** A message that waits for longer says that the broker, or the relay, does not do its work. */
const mostLagSeconds = 30
/** The sweep comes every minute while a task is live. */
const mostSweepSeconds = 180

export type BackgroundChecks = { readonly schema: boolean; readonly broker: boolean; readonly sweep: boolean }

/**
 * What the database knows of the rest: whether it has seen the newest migration of this code, whether messages leave, whether
 * the sweep comes by while a task is live.
 * @param newestMigration null: this code does not know
 */
export const readBackground = async (sql: Sql, newestMigration: string | null): Promise<BackgroundChecks> => {
  const [row] = await sql<BackgroundChecks[]>`
    select
      ${newestMigration}::text is null or exists (select from schema_migration where name = ${newestMigration}) as schema,
      not exists (
        select from outbox where sent_at is null and created_at < now() - make_interval(secs => ${mostLagSeconds})) as broker,
      not exists (
        select from task
        where state in ('queued', 'running') and coalesce(queued_at, created_at) < now() - make_interval(secs => ${mostSweepSeconds})
          and (start_at is null or start_at < now() - make_interval(secs => ${mostSweepSeconds})))
        or exists (
          select from heartbeat
          where name = 'sweep' and beat_at > now() - make_interval(secs => ${mostSweepSeconds})) as sweep`
  if (row === undefined) throw new Error('the database gave no row')
  return row
}
