import type { Database } from './database.ts'

/** After it a key may be used anew; nobody repeats a request for so long. */
const idempotencyHours = 24
/** Sent messages are kept for whoever asks what was said. */
const outboxHours = 24
/** Longer than any queue keeps a message. */
const inboxHours = 14 * 24
/** Somebody has looked into what nodes logged, and at messages that nobody could use, or never will. */
const logHours = 30 * 24
const parkedHours = 30 * 24
/** Rows of each table at a time, so that no lock is held for long; the next sweep takes more. */
const mostRows = 5000

/**
 * Removes what has had its time. What is left to grow with the past is what tells it: tasks, rounds, participants, versions, audit.
 * @returns how many rows went
 */
export const removeExpired = async (database: Database): Promise<number> => {
  const counts = [
    await database.read(
      sql => sql`
        delete from idempotency where (principal, key) in (
          select principal, key from idempotency
          where created_at < now() - make_interval(hours => ${idempotencyHours}) limit ${mostRows})`,
    ),
    await database.read(
      sql => sql`
        delete from outbox where id in (
          select id from outbox where sent_at < now() - make_interval(hours => ${outboxHours}) limit ${mostRows})`,
    ),
    await database.read(
      sql => sql`
        delete from inbox where (consumer, message_id) in (
          select consumer, message_id from inbox
          where received_at < now() - make_interval(hours => ${inboxHours}) limit ${mostRows})`,
    ),
    await database.read(
      sql => sql`
        delete from log_entry where id in (
          select id from log_entry where received_at < now() - make_interval(hours => ${logHours}) limit ${mostRows})`,
    ),
    await database.read(
      sql => sql`
        delete from parked_message where id in (
          select id from parked_message where parked_at < now() - make_interval(hours => ${parkedHours}) limit ${mostRows})`,
    ),
  ].map(({ count }) => count)
  return counts.reduce((sum, count) => sum + count, 0)
}
