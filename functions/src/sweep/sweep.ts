import { setTimeout as delay } from 'node:timers/promises'
import type { Context } from '../context.ts'
import { removeExpired } from '../database/remove-expired.ts'
import { removeOldReports } from '../deployments/remove-old-reports.ts'
import { beat } from '../metrics/heartbeat.ts'
import { tidyRegistry } from '../models/tidy/tidy-registry.ts'
import { outboxLag } from '../outbox/outbox-lag.ts'
import { runDueWork } from '../rounds/due-work.ts'

/** Storage that does not answer must not keep a run from looking. */
const registryMillis = 8000
/** Between two looks of one run. */
export const pauseSeconds = 10
/** From a run's first look to its last. */
export const watchSeconds = 50

/**
 * The backstop for what status calls do anyway, for when no node is alive; and what is removed by age. No schedule is finer than
 * a minute, which is too coarse for attempts to settle in time: so while a task is live, one run goes on looking until
 * the next is near.
 * @throws TributaryError UNAVAILABLE when the last look failed
 */
export const sweep = async (
  context: Context,
  signal: AbortSignal,
  { pauseMillis = pauseSeconds * 1000, watchMillis = watchSeconds * 1000 } = {},
): Promise<{ due: number; removed: number; registry: number }> => {
  const end = performance.now() + watchMillis
  context.metrics.add({ OutboxLag: await outboxLag(context.database) })
  let due = await runDueWork(context, signal)
  const removed = (await removeExpired(context.database)) + (await removeOldReports(context.database))
  const registry = await tidyRegistry(context, AbortSignal.any([signal, AbortSignal.timeout(registryMillis)]))
  let failure: unknown
  while (performance.now() + pauseMillis <= end && (failure !== undefined || (await hasLiveTask(context)))) {
    await delay(pauseMillis, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) break
    try {
      due += await runDueWork(context, signal)
      failure = undefined
    } catch (error) {
      failure = error
      context.log.warn({ error }, 'a look at due work failed; another follows')
    }
  }
  if (failure !== undefined) throw failure
  context.metrics.add({ DueWork: due })
  await beat(context.database, 'sweep')
  return { due, removed, registry }
}

/** A task whose time comes after this run is no reason to go on looking. */
const hasLiveTask = async ({ database }: Context): Promise<boolean> => {
  const live = await database.read(
    sql => sql`
      select from task where state in ('queued', 'running')
        and (start_at is null or start_at < now() + make_interval(secs => ${watchSeconds})) limit 1`,
  )
  return live.length > 0
}
