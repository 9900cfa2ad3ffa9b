import { TributaryError } from '@tributary/contracts/errors'
import type { RoundMetrics } from '@tributary/contracts/task-views'
import type { Context } from '../../context.ts'
import type { Sql } from '../../database/transaction.ts'
import type { Handler } from '../../http/handler.ts'
import { metricsCsv } from './metrics-csv.ts'
import { type MlflowTask, mlflowFiles } from './mlflow-run.ts'
import { readMetrics } from './read-metrics.ts'
import { tarOf } from './tar.ts'

/** An answer of a Lambda function has at most 6 MB, in base64; each form of a round takes less than its JSON. */
const mostBytes = 3 * 1024 * 1024

/** Metrics of a task by round, as JSON, CSV or an MLflow file store. @throws TributaryError NOT_FOUND */
export const getTaskMetrics =
  ({ database }: Pick<Context, 'database'>): Handler<'getTaskMetrics'> =>
  async ({ params, query: { format, from, most } }) => {
    const [[task], found] = await database.read(sql =>
      Promise.all([readTask(sql, params.task), readMetrics(sql, params.task, { from, most: most + 1 })]),
    )
    if (task === undefined) throw new TributaryError('NOT_FOUND')
    const rounds = fitting(found.slice(0, most))
    const next = found[rounds.length]?.round ?? null
    if (format === 'json') return { rounds, next }
    const content =
      format === 'csv'
        ? metricsCsv(task.id, rounds)
        : tarOf(mlflowFiles(task, rounds), task.finishedAt ?? task.createdAt)
    const following = `</v1/tasks/${task.id}/metrics?format=${format}&from=${next}&most=${most}>; rel="next"`
    return {
      content,
      headers: {
        'content-disposition': `attachment; filename="task-${task.id}.${format === 'csv' ? 'csv' : 'tar'}"`,
        ...(next === null ? {} : { link: following }),
      },
    }
  }

/** The first rounds that fit into an answer; never none. */
const fitting = (rounds: readonly RoundMetrics[]): RoundMetrics[] => {
  let bytes = 0
  const end = rounds.findIndex((round, index) => {
    bytes += JSON.stringify(round).length
    return index > 0 && bytes > mostBytes
  })
  return rounds.slice(0, end < 0 ? undefined : end)
}

const readTask = (sql: Sql, task: string) => sql<MlflowTask[]>`
  select t.id, t.name, t.state, t.reason, t.model, m.name as "modelName", t.current_version as "currentVersion",
    v.weights_sha256 as "currentSha256", t.settings, t.created_at as "createdAt", t.started_at as "startedAt",
    t.finished_at as "finishedAt", t.created_by as "createdBy"
  from task t join model m on m.id = t.model join model_version v on v.id = t.current_version where t.id = ${task}`
