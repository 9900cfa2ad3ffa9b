import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../../context.ts'
import { systemActor } from '../../rounds/system-actor.ts'
import { buryVersion } from '../bury-version.ts'
import { referencesTo } from '../references-of-version.ts'

/** Models looked at, and versions buried, in one run. */
const mostModels = 50
const mostVersions = 20
/** Whoever uploaded a version that was refused has read why by then. */
const refusedDays = 7

/**
 * Buries versions that their model's retention no longer keeps: older than its days and not among its newest, and nothing refers
 * to them; and those that were refused a week ago. Only rows change here; the files go with the other tombstones'.
 * @returns how many were buried
 */
export const retireVersions = async (
  { database, audit }: Pick<Context, 'database' | 'audit'>,
  signal: AbortSignal,
): Promise<number> => {
  const found = await database.read(
    sql => sql<{ id: string; model: string }[]>`
      select r.id, r.model from (
        select m.* from model m where m.retention_keep_last is not null order by random() limit ${mostModels}) m
      cross join lateral (
        select v.id, v.model from model_version v
        where v.model = m.id and v.state = 'ready'
          and v.number < (
            select k.number from model_version k where k.model = m.id and k.state = 'ready'
            order by k.number desc offset m.retention_keep_last - 1 limit 1)
          and v.created_at < now() - make_interval(days => m.retention_keep_days)
          and not exists (${referencesTo(sql)})
        order by v.number limit ${mostVersions}) r
      union all
      (select v.id, v.model from model_version v
        where v.state = 'refused' and v.created_at < now() - make_interval(days => ${refusedDays})
          and not exists (${referencesTo(sql)})
        limit ${mostVersions})
      limit ${mostVersions}`,
  )
  let buried = 0
  for (const { id: version, model } of found) {
    if (signal.aborted) break
    try {
      await database.transaction(sql => buryVersion({ audit }, sql, { model, version, actor: systemActor }))
      buried += 1
    } catch (error) {
      // Something came to need it meanwhile.
      if (!(error instanceof TributaryError && error.code === 'VERSION_REFERENCED')) throw error
    }
  }
  return buried
}
