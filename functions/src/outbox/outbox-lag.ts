import type { Database } from '../database/database.ts'

/** Age of the oldest message that waits, seconds; 0 where none waits. One look at a partial index. */
export const outboxLag = async (database: Database): Promise<number> => {
  const [row] = await database.read(
    sql => sql<{ seconds: number }[]>`
      select coalesce(extract(epoch from now() - (select created_at from outbox where sent_at is null order by id limit 1)), 0)::float8
        as seconds`,
  )
  return Math.max(0, row?.seconds ?? 0)
}
