import type { Database } from '../database/database.ts'

/** What runs in the background and says that it came to a good end. */
export type HeartbeatName = 'relay' | 'sweep'

/** Notes a sign of life; written at most every 5 s, whatever the traffic. */
export const beat = (database: Database, name: HeartbeatName): Promise<unknown> =>
  database.read(
    sql => sql`
      insert into heartbeat (name, beat_at) values (${name}, now())
      on conflict (name) do update set beat_at = now() where heartbeat.beat_at < now() - interval '5 seconds'`,
  )
