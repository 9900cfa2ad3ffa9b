import { TributaryError } from '@tributary/contracts/errors'
import { Uuid } from '@tributary/contracts/ids'
import type { LineageEntry } from '@tributary/contracts/models'
import { CreateTask } from '@tributary/contracts/tasks'
import * as z from 'zod'
import type { Context } from '../context.ts'
import { decodeCursor, encodeCursor } from '../http/cursor.ts'
import type { Handler } from '../http/handler.ts'
import { type VersionViewRow, versionViewColumns, versionViewOf } from './version-view.ts'

type LineageRow = VersionViewRow & {
  attempt: number | null
  task_name: string | null
  settings: unknown
  regions: NonNullable<LineageEntry['origin']>['regions']
}

/** Tasks from before a setting existed have its default. */
const Configuration = z.object({
  trainer: CreateTask.shape.trainer,
  aggregation: CreateTask.shape.aggregation,
  serverOptimizer: CreateTask.shape.serverOptimizer,
})

/** The line from a version to the one that was uploaded: each with the round that made it. A page begins where the last one ended. */
export const getLineage =
  ({ database }: Pick<Context, 'database'>): Handler<'getLineage'> =>
  async ({ params: { model, version }, query: { cursor, limit } }) => {
    const start = decodeCursor(cursor, Uuid) ?? version
    const rows = await database.read(
      sql => sql<LineageRow[]>`
        with recursive line as (
          select id, parent, 1 as depth from model_version where id = ${start} and model = ${model}
          union all
          select p.id, p.parent, line.depth + 1 from line join model_version p on p.id = line.parent
          where line.depth <= ${limit})
        select ${versionViewColumns(sql)}, v.attempt, t.name as task_name, t.settings,
          (select coalesce(json_agg(json_build_object('region', s.region, 'devices', s.devices, 'weight', s.weight)
              order by s.region), '[]')
            from (select a.region, sum(a.accepted)::integer as devices, sum(a.weight)::text as weight
              from attempt_shard a where a.task = v.task and a.round = v.round and a.attempt = v.attempt
              group by a.region) s) as regions
        from line join model_version v on v.id = line.id left join task t on t.id = v.task
        order by line.depth`,
    )
    if (rows.length === 0) throw new TributaryError('NOT_FOUND')
    const next = rows[limit]?.id
    return {
      items: rows.slice(0, limit).map(lineageEntry),
      next: next === undefined ? null : encodeCursor(next),
    }
  }

const lineageEntry = (row: LineageRow): LineageEntry => {
  const { task, round, attempt, task_name: taskName, regions } = row
  if (task === null || round === null || attempt === null || taskName === null) {
    return { version: versionViewOf(row), origin: null }
  }
  const configuration = Configuration.parse(row.settings)
  return { version: versionViewOf(row), origin: { task, taskName, round, attempt, regions, ...configuration } }
}
