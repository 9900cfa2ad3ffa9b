import type { MetricSums } from '@tributary/contracts/round'
import type { RegionParticipation, ShardView } from '@tributary/contracts/task-views'
import type { Sql } from '../../database/transaction.ts'
import type { Reason } from '../../rounds/reason.ts'

export type ShardRow = Omit<ShardView, 'reason' | 'firstAcceptedAt' | 'reportedAt'> & {
  readonly attempt: number
  readonly reason: Reason | null
  readonly firstAcceptedAt: Date | null
  readonly reportedAt: Date | null
}

/** Shards of the round's newest attempts first. */
export const readShards = (sql: Sql, task: string, round: number, most: number) => sql<ShardRow[]>`
  select attempt, region, shard, epoch, state, goal, to_select as "toSelect", selected, accepted, refused, empty, reason,
    first_accepted_at as "firstAcceptedAt", reported_at as "reportedAt"
  from attempt_shard where task = ${task} and round = ${round} order by attempt desc, region, shard limit ${most}`

export type CountRow = {
  readonly attempt: number
  readonly region: string
  readonly verdict: keyof RegionParticipation['verdicts']
  readonly devices: number
  readonly examples: number
  readonly bytes: number
}

/** Who took part in a round in numbers, by attempt, region and verdict. */
export const readCounts = (sql: Sql, task: string, round: number) => sql<CountRow[]>`
  select attempt, region, verdict, devices, examples::double precision as examples, bytes::double precision as bytes
  from participation_count where task = ${task} and round = ${round} order by attempt, region, verdict`

export type EvaluationShardRow = {
  readonly evaluation: string
  readonly region: string
  readonly shard: number
  readonly epoch: number
  readonly state: 'open' | 'summed'
  readonly evaluators: number
  readonly metrics: MetricSums
}

export const readEvaluationShards = (sql: Sql, task: string, round: number, most: number) => sql<EvaluationShardRow[]>`
  select s.evaluation, s.region, s.shard, s.epoch, s.state, s.evaluators,
    -- Counts by class are with the sum of all shards.
    jsonb_strip_nulls(jsonb_build_object('examples', s.metrics -> 'examples', 'correct', s.metrics -> 'correct',
      'loss_q20', s.metrics -> 'loss_q20')) as metrics
  from evaluation e join evaluation_shard s on s.evaluation = e.id
  where e.task = ${task} and e.round = ${round} order by s.evaluation, s.region, s.shard limit ${most}`
