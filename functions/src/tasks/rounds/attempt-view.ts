import type { AttemptView, EvaluationView, RegionParticipation, ShardView } from '@tributary/contracts/task-views'
import { resultOf } from '../../evaluation/evaluation-result.ts'
import { meanLoss } from '../../evaluation/metric-sums.ts'
import { reasonView } from '../reason-view.ts'
import type { AttemptRow, EvaluationRow } from './read-attempts.ts'
import type { CountRow, EvaluationShardRow, ShardRow } from './read-shards.ts'

type Parts = {
  readonly shards: readonly ShardRow[]
  readonly counts: readonly CountRow[]
  readonly evaluationShards: readonly EvaluationShardRow[]
}

/** An attempt as the API shows it, from its rows. */
export const attemptView = (row: AttemptRow, { shards, counts, evaluationShards }: Parts): AttemptView => ({
  attempt: row.attempt,
  state: row.state,
  counted: row.counted,
  reason: reasonView(row.reason),
  baseVersion: row.baseVersion,
  version: row.version,
  openedAt: row.openedAt.toISOString(),
  selectionDeadline: row.selectionDeadline,
  deadline: row.deadline.toISOString(),
  firstAcceptedAt: timeOf(row.firstAcceptedAt),
  closedAt: timeOf(row.closedAt),
  settledAt: timeOf(row.settledAt),
  seconds: row.settledAt === null ? null : (row.settledAt.getTime() - row.openedAt.getTime()) / 1000,
  goal: row.goal,
  toSelect: row.planned,
  selected: row.selected,
  accepted: row.accepted,
  refused: row.refused,
  empty: row.empty,
  weight: row.weight === null ? null : Number(row.weight),
  trainingLoss: meanLoss(row.metrics),
  trainingMetrics: row.metrics,
  shards: shards.map(shardView),
  participation: participationOf(counts),
  evaluation: row.evaluation && row.version && evaluationView(row.version.id, row.evaluation, evaluationShards),
})

const timeOf = (time: Date | null): string | null => time?.toISOString() ?? null

const shardView = ({ attempt: _, reason, firstAcceptedAt, reportedAt, ...rest }: ShardRow): ShardView => ({
  ...rest,
  reason: reasonView(reason),
  firstAcceptedAt: timeOf(firstAcceptedAt),
  reportedAt: timeOf(reportedAt),
})

const participationOf = (counts: readonly CountRow[]): RegionParticipation[] =>
  [...Map.groupBy(counts, ({ region }) => region)].map(([region, rows]) => ({
    region,
    devices: total(rows, 'devices'),
    verdicts: Object.fromEntries(rows.map(({ verdict, devices }) => [verdict, devices])),
    examples: total(rows, 'examples'),
    bytes: total(rows, 'bytes'),
  }))

const total = (rows: readonly CountRow[], member: 'devices' | 'examples' | 'bytes'): number =>
  rows.reduce((sum, row) => sum + row[member], 0)

const evaluationView = (
  version: string,
  { state, dataset, metrics, openedAt, deadline, closedAt }: EvaluationRow,
  shards: readonly EvaluationShardRow[],
): EvaluationView => ({
  state,
  version,
  dataset,
  ...resultOf(metrics),
  metrics,
  // jsonb writes times with an offset.
  openedAt: new Date(openedAt).toISOString(),
  deadline: new Date(deadline).toISOString(),
  closedAt: closedAt && new Date(closedAt).toISOString(),
  shards: shards.map(({ evaluation: _, metrics: found, ...shard }) => {
    const { accuracy, loss, examples } = resultOf(found)
    return { ...shard, accuracy, loss, examples }
  }),
})
