import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'

const deadlineMillis = 1500

/** Asks everything that central stands on. Only the truth (Postgres) makes it `down`: the rest costs speed or uploads. */
export const getHealth =
  ({ database, store, cache, log }: Pick<Context, 'database' | 'store' | 'cache' | 'log'>): Handler<'getHealth'> =>
  async () => {
    const check = async (name: string, ask: (signal: AbortSignal) => Promise<unknown>): Promise<'ok' | 'down'> => {
      const deadline = AbortSignal.timeout(deadlineMillis)
      try {
        await Promise.race([ask(deadline), rejectAt(deadline)])
        return 'ok'
      } catch (error) {
        log.warn({ error, check: name }, 'a service does not answer')
        return 'down'
      }
    }
    const [postgres, objectStorage, redis] = await Promise.all([
      check('postgres', async signal => {
        // What waits for a silent connection would make the next call wait as well.
        const discard = () => database.discard()
        signal.addEventListener('abort', discard, { once: true })
        await database.read(sql => sql`select 1`).finally(() => signal.removeEventListener('abort', discard))
      }),
      check('objectStorage', signal => store.ready(signal)),
      check('redis', signal => cache.ready(signal)),
    ])
    const all = objectStorage === 'ok' && redis === 'ok'
    return {
      status: postgres === 'down' ? 'down' : all ? 'ok' : 'degraded',
      checks: { postgres, objectStorage, redis },
    }
  }

/** Rejects with the signal's reason when it aborts. */
const rejectAt = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
