import type { MetricSums } from '@tributary/contracts/round'
import type { RoundMetrics } from '@tributary/contracts/task-views'
import type { Sql } from '../../database/transaction.ts'
import { type KeptResult, keptResult, readResult } from '../../evaluation/evaluation-result.ts'
import { meanLoss, metricOf } from '../../evaluation/metric-sums.ts'

type Row = Pick<RoundMetrics, 'round' | 'attempt' | 'attempts' | 'state' | 'version' | 'training'> &
  Pick<RoundMetrics, 'accepted' | 'refused' | 'empty' | 'uploadBytes' | 'deviceSeconds'> & {
    readonly openedAt: Date
    readonly settledAt: Date | null
    readonly planned: number
    readonly selected: number
    readonly weight: string | null
    readonly evaluation: MetricSums | null
    readonly kept: KeptResult
  }

/** What came out of the rounds of a task from one on, in order, each by its latest attempt: one query. */
export const readMetrics = async (
  sql: Sql,
  task: string,
  { from, most }: { readonly from: number; readonly most: number },
): Promise<RoundMetrics[]> => {
  const rows = await sql<Row[]>`
    select a.round, a.attempt, a.attempts::integer, a.state, a.version, a.opened_at as "openedAt",
      a.settled_at as "settledAt", a.selected as planned, s.*, ${keptResult(sql)} as kept,
      e.metrics - array(select name from jsonb_object_keys(e.metrics) name where name ~ '_\\d+$') as evaluation,
      coalesce(c.bytes, 0) as "uploadBytes", coalesce(c.seconds, 0) as "deviceSeconds",
      coalesce((
        select jsonb_object_agg(name, total) from (
          select m.key as name, sum(m.value::numeric)::text as total
          from attempt_shard o cross join jsonb_each_text(o.metrics) m
          where o.task = ${task} and o.round = a.round and o.attempt = a.attempt and o.state = 'summed' group by m.key
        ) totals), '{}') as training
    from (
      select distinct on (round) round, attempt, count(*) over (partition by round) as attempts, state, version,
        opened_at, settled_at, selected
      from round_attempt where task = ${task} and round >= ${from} order by round, attempt desc limit ${most}
    ) a
      cross join lateral (
        select coalesce(sum(selected), 0)::integer as selected, coalesce(sum(accepted), 0)::integer as accepted,
          coalesce(sum(refused), 0)::integer as refused, coalesce(sum(empty), 0)::integer as empty,
          (sum(weight) filter (where state = 'summed'))::text as weight
        from attempt_shard where task = ${task} and round = a.round and attempt = a.attempt
      ) s
      cross join lateral (
        select sum(bytes)::double precision as bytes, sum(seconds) as seconds
        from participation_count where task = ${task} and round = a.round and attempt = a.attempt
      ) c
      left join evaluation e on e.version = a.version and e.task = ${task}
    order by a.round`
  return rows.map(metricsOf)
}

const metricsOf = ({ planned, evaluation, kept, weight, openedAt, settledAt, ...row }: Row): RoundMetrics => {
  const { examples, ...found } = readResult(kept)
  return {
    ...row,
    openedAt: openedAt.toISOString(),
    settledAt: settledAt?.toISOString() ?? null,
    seconds: settledAt === null ? null : (settledAt.getTime() - openedAt.getTime()) / 1000,
    ...found,
    evaluatedExamples: examples,
    trainingLoss: meanLoss(row.training),
    trainingExamples: Number(metricOf(row.training, 'examples')),
    // Until the first region says whom it chose, as many as it was asked to choose.
    selected: row.selected > 0 ? row.selected : planned,
    weight: weight === null ? null : Number(weight),
    evaluation: evaluation ?? {},
  }
}
