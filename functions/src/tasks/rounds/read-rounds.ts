import type { MetricSums } from '@tributary/contracts/round'
import type { AttemptState, RoundView } from '@tributary/contracts/tasks'
import type { Sql } from '../../database/transaction.ts'
import { type KeptResult, keptResult, readResult } from '../../evaluation/evaluation-result.ts'
import { addMetricSums, meanLoss } from '../../evaluation/metric-sums.ts'
import type { Reason } from '../../rounds/reason.ts'

type ShardRow = RoundView['regions'][number] & { readonly weight: string; readonly metrics: MetricSums }

type RoundRow = {
  readonly round: number
  readonly attempt: number
  readonly state: AttemptState
  readonly reason: Reason | null
  readonly openedAt: Date
  readonly settledAt: Date | null
  readonly goal: number
  readonly planned: number
  readonly version: string | null
  readonly modelSha256: string | null
  readonly evaluation: KeptResult
  readonly shards: readonly ShardRow[]
}

/** Newest first unless `oldest`; behind round `after`. */
export type RoundsPage = {
  readonly order?: 'newest' | 'oldest'
  readonly after?: number | null
  readonly limit: number
}

/** Rounds of a task, each with its latest attempt: one query. */
export const readRounds = async (sql: Sql, task: string, page: RoundsPage): Promise<RoundView[]> =>
  (await sql<RoundRow[]>`${roundRows(sql, task, page)}`).map(roundView)

export const roundRows = (sql: Sql, task: string, { order = 'newest', after = null, limit }: RoundsPage) => {
  const direction = order === 'newest' ? sql`desc` : sql`asc`
  const behind = order === 'newest' ? sql`and round < ${after}` : sql`and round > ${after}`
  return sql`
    select a.round, a.attempt, a.state, a.reason, a.opened_at as "openedAt", a.settled_at as "settledAt", a.goal,
      a.selected as planned, a.version, v.weights_sha256 as "modelSha256", ${keptResult(sql)} as evaluation,
      s.shards
    from (
      select distinct on (round) round, attempt, state, reason, opened_at, settled_at, goal, selected, version
      from round_attempt where task = ${task} ${after === null ? sql`` : behind}
      order by round ${direction}, attempt desc limit ${limit}
    ) a
      left join model_version v on v.id = a.version
      left join evaluation e on e.version = a.version and e.task = ${task}
      cross join lateral (
        select coalesce(json_agg(json_build_object('region', region, 'shard', shard, 'epoch', epoch, 'state', state,
          'selected', selected, 'accepted', accepted, 'weight', weight::text, 'metrics', metrics)
          order by region, shard), '[]') as shards
        from attempt_shard where task = ${task} and round = a.round and attempt = a.attempt
      ) s
    order by a.round ${direction}`
}

const roundView = (row: RoundRow): RoundView => {
  const summed = row.shards.filter(shard => shard.state === 'summed')
  const { examples, ...found } = readResult(row.evaluation)
  const selected = row.shards.reduce((sum, shard) => sum + shard.selected, 0)
  return {
    round: row.round,
    attempt: row.attempt,
    state: row.state,
    reason: row.reason?.code ?? null,
    openedAt: row.openedAt.toISOString(),
    settledAt: row.settledAt?.toISOString() ?? null,
    seconds: row.settledAt === null ? null : (row.settledAt.getTime() - row.openedAt.getTime()) / 1000,
    goal: row.goal,
    // Until the first region says whom it chose, as many as it was asked to choose.
    selected: selected > 0 ? selected : row.planned,
    accepted: row.shards.reduce((sum, shard) => sum + shard.accepted, 0),
    weight: summed.length === 0 ? null : Number(summed.reduce((sum, shard) => sum + BigInt(shard.weight), 0n)),
    trainingLoss: meanLoss(addMetricSums(summed.map(shard => shard.metrics))),
    version: row.version,
    modelSha256: row.modelSha256,
    ...found,
    evaluatedExamples: examples,
    regions: row.shards.map(({ region, shard, epoch, state, selected, accepted }) => ({
      region,
      shard,
      epoch,
      state,
      selected,
      accepted,
    })),
  }
}
