import type { TaskState } from '@tributary/contracts/tasks'
import type { Sql } from '../database/transaction.ts'

/** As many evaluations as a task shows rounds. */
const mostEvaluations = 200

export type TaskStamp = { readonly state: TaskState; readonly stamp: string }

/**
 * What a task's detail depends on, as a digest of row versions: another stamp wherever the detail reads otherwise. `xmin` names the
 * transaction that wrote a row, so nobody has to keep a counter. Settled rounds do not change but by evaluations, and by
 * shards that a node still reports for a moment.
 */
export const readTaskStamp = async (sql: Sql, task: string): Promise<TaskStamp | undefined> => {
  const [row] = await sql<TaskStamp[]>`
    select t.state, md5(concat_ws(' ', t.xmin, a.stamp, s.stamp, e.stamp)) as stamp
    from task t
      left join lateral (
        select round, concat_ws('/', round, attempt, xmin) as stamp from round_attempt where task = t.id
        order by round desc, attempt desc limit 1
      ) a on true
      left join lateral (
        select string_agg(xmin::text, ',' order by round, attempt, region, shard) as stamp from attempt_shard
        where task = t.id and round >= a.round - 1
      ) s on true
      left join lateral (
        select string_agg(concat_ws('/', round, version), ',') as stamp from (
          select round, xmin as version from evaluation where task = t.id order by round desc limit ${mostEvaluations}
        ) newest
      ) e on true
    where t.id = ${task}`
  return row
}
