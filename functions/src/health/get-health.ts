import type { Context } from '../context.ts'
import type { Database } from '../database/database.ts'
import type { Handler } from '../http/handler.ts'
import { type BackgroundChecks, readBackground } from './background-checks.ts'

const deadlineMillis = 1500

type Parts = Pick<Context, 'database' | 'store' | 'cache' | 'log'> & {
  /** File name of the newest migration that this code knows; null where it knows none. */
  readonly newestMigration: string | null
}

/**
 * Asks everything that central stands on, each within a deadline. The truth (Postgres, with the schema of this code) makes it `down`;
 * the rest costs speed, uploads or time. Whoever asks learns no more than which of them it is: reasons go to the log.
 */
export const getHealth =
  ({ database, store, cache, log, newestMigration }: Parts): Handler<'getHealth'> =>
  async () => {
    const check = async <Answer>(
      name: string,
      ask: (signal: AbortSignal) => Promise<Answer>,
    ): Promise<{ answer: Answer } | null> => {
      const deadline = AbortSignal.timeout(deadlineMillis)
      try {
        return { answer: await Promise.race([ask(deadline), rejectAt(deadline)]) }
      } catch (error) {
        log.warn({ error, check: name }, 'a service does not answer')
        return null
      }
    }
    const [known, objectStorage, redis] = await Promise.all([
      check('postgres', signal => askDatabase(database, newestMigration, signal)),
      check('objectStorage', signal => store.ready(signal)),
      check('redis', signal => cache.ready(signal)),
    ])
    const background = known?.answer ?? nothingKnown
    const checks = {
      postgres: upOrDown(known !== null),
      schema: upOrDown(background.schema),
      objectStorage: upOrDown(objectStorage !== null),
      redis: upOrDown(redis !== null),
      broker: upOrDown(background.broker),
      sweep: upOrDown(background.sweep),
    }
    const down = checks.postgres === 'down' || checks.schema === 'down'
    const allUp = Object.values(checks).every(state => state === 'ok')
    return { status: down ? 'down' : allUp ? 'ok' : 'degraded', checks }
  }

const nothingKnown: BackgroundChecks = { schema: false, broker: false, sweep: false }

const upOrDown = (up: boolean): 'ok' | 'down' => (up ? 'ok' : 'down')

const askDatabase = (
  database: Database,
  newestMigration: string | null,
  signal: AbortSignal,
): Promise<BackgroundChecks> => {
  // What waits for a silent connection would make the next call wait as well.
  const discard = () => database.discard()
  signal.addEventListener('abort', discard, { once: true })
  const asked = database.read(async sql => {
    // Answers also where the schema is not there yet.
    await sql`select 1`
    return readBackground(sql, newestMigration).catch((error: unknown) => {
      if ((error as { code?: unknown }).code === undefinedTable) return nothingKnown
      throw error
    })
  })
  return asked.finally(() => signal.removeEventListener('abort', discard))
}

const undefinedTable = '42P01'

/** Rejects with the signal's reason when it aborts. */
const rejectAt = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
