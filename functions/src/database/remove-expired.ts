import type { Database } from './database.ts'

type Expiry = {
  readonly table: string
  readonly key: readonly string[]
  /** Column that its age counts from. */
  readonly since: string
  readonly hours: number
}

const expiries: readonly Expiry[] = [
  // After it a key may be used anew; nobody repeats a request for so long.
  { table: 'idempotency', key: ['principal', 'key'], since: 'created_at', hours: 24 },
  // Sent messages are kept for whoever asks what was said; unsent ones have no such time.
  { table: 'outbox', key: ['id'], since: 'sent_at', hours: 24 },
  // Longer than any queue keeps a message.
  { table: 'inbox', key: ['consumer', 'message_id'], since: 'received_at', hours: 14 * 24 },
  // Somebody has looked into what nodes logged, and at messages that nobody could use, or never will.
  { table: 'log_entry', key: ['id'], since: 'received_at', hours: 30 * 24 },
  { table: 'parked_message', key: ['id'], since: 'parked_at', hours: 30 * 24 },
]
/** Rows of each table at a time, so that no lock is held for long; the next sweep takes more. */
const mostRows = 5000

/**
 * Removes what has had its time. What is left to grow with the past is what tells it: tasks, rounds, participants, versions, audit.
 * @returns how many rows went
 */
export const removeExpired = async (database: Database): Promise<number> => {
  let removed = 0
  for (const { table, key, since, hours } of expiries) {
    const { count } = await database.read(
      sql => sql`
        delete from ${sql(table)} where (${sql(key)}) in (
          select ${sql(key)} from ${sql(table)}
          where ${sql(since)} < now() - make_interval(hours => ${hours}) limit ${mostRows})`,
    )
    removed += count
  }
  return removed
}
