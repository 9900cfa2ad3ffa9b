import type { AttemptRef } from '@tributary/contracts/ids'
import type { Context } from '../../context.ts'

/** What shards sent for an attempt is of use to nobody once it is settled; so long it stays for whoever looks into one. */
const keptDays = 7
const mostAttempts = 20
/** Of one attempt in one run; where there are more, the next run goes on. */
const mostObjects = 1000
const deletesAtOnce = 16

type SettledAttempt = AttemptRef & { readonly model: string; readonly abandoned: boolean }

/**
 * Removes the sums and participation lists of attempts that were settled some time ago, with what nodes that lost their lease left
 * there, and the version that an abandoned attempt had merged already. A committed attempt's version is not among them.
 * @returns how many attempts have nothing in storage any more
 */
export const removeAttemptObjects = async (
  { database, store, log }: Pick<Context, 'database' | 'store' | 'log'>,
  signal: AbortSignal,
): Promise<number> => {
  const attempts = await database.read(
    sql => sql<SettledAttempt[]>`
      select a.task, a.round, a.attempt, t.model, a.state = 'abandoned' and a.version is null as abandoned
      from round_attempt a join task t on t.id = a.task
      where a.settled_at < now() - make_interval(days => ${keptDays}) and a.objects_removed_at is null
        and not a.participation_due and a.state in ('committed', 'abandoned')
      order by a.settled_at limit ${mostAttempts}`,
  )
  let removed = 0
  for (const attempt of attempts) {
    if (signal.aborted) break
    try {
      if (!(await removeObjects(store, attempt, signal))) continue
      const { task, round, attempt: number } = attempt
      await database.read(
        sql => sql`
          update round_attempt set objects_removed_at = now()
          where task = ${task} and round = ${round} and attempt = ${number}`,
      )
      removed += 1
    } catch (error) {
      log.error({ error, ...attempt }, 'objects of an attempt could not be removed; the next run tries again')
    }
  }
  return removed
}

/** @returns false where there may be more */
const removeObjects = async (
  store: Context['store'],
  { task, round, attempt, model, abandoned }: SettledAttempt,
  signal: AbortSignal,
): Promise<boolean> => {
  const name = `${round}-${attempt}`
  const sums = await store.list(`sums/${task}/${name}/`, mostObjects, signal)
  const merged = abandoned ? await store.list(`models/${model}/tasks/${task}/${name}.`, mostObjects, signal) : []
  const keys = [...sums, ...merged]
  for (let at = 0; at < keys.length; at += deletesAtOnce) {
    await Promise.all(keys.slice(at, at + deletesAtOnce).map(key => store.delete(key, signal)))
  }
  return sums.length < mostObjects && merged.length < mostObjects
}
