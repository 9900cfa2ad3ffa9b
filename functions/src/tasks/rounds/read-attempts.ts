import type { MetricSums } from '@tributary/contracts/round'
import type { AttemptView } from '@tributary/contracts/task-views'
import type { Sql } from '../../database/transaction.ts'
import type { Reason } from '../../rounds/reason.ts'

export type AttemptRow = Pick<AttemptView, 'attempt' | 'state' | 'counted' | 'baseVersion' | 'version' | 'goal'> & {
  readonly reason: Reason | null
  readonly planned: number
  readonly openedAt: Date
  readonly selectionDeadline: string | null
  readonly deadline: Date
  readonly firstAcceptedAt: Date | null
  readonly closedAt: Date | null
  readonly settledAt: Date | null
  readonly selected: number
  readonly accepted: number
  readonly refused: number
  readonly empty: number
  /** Decimal; null until a sum is in. */
  readonly weight: string | null
  readonly metrics: MetricSums
  readonly evaluation: EvaluationRow | null
}

export type EvaluationRow = {
  readonly id: string
  readonly state: 'open' | 'closed'
  readonly dataset: string | null
  readonly metrics: MetricSums
  readonly openedAt: string
  readonly deadline: string
  readonly closedAt: string | null
}

/** The newest attempts of a round, oldest first, with what their shards add up to. */
export const readAttempts = (sql: Sql, task: string, round: number, most: number) => sql<AttemptRow[]>`
  select a.attempt, a.state, a.counted, a.reason, a.base_version as "baseVersion", a.goal, a.selected as planned,
    a.opened_at as "openedAt", a.descriptor ->> 'selectionDeadline' as "selectionDeadline", a.deadline,
    a.closed_at as "closedAt", a.settled_at as "settledAt", s.*,
    coalesce((
      select jsonb_object_agg(name, total) from (
        select m.key as name, sum(m.value::numeric)::text as total
        from attempt_shard o cross join jsonb_each_text(o.metrics) m
        where o.task = a.task and o.round = a.round and o.attempt = a.attempt and o.state = 'summed' group by m.key
      ) totals), '{}') as metrics,
    (select jsonb_build_object('id', v.id, 'number', v.number, 'sha256', v.weights_sha256, 'bytes', v.weights_bytes)
      from model_version v where v.id = a.version) as version,
    (select jsonb_build_object('id', e.id, 'state', e.state, 'dataset', e.descriptor ->> 'dataset', 'metrics', e.metrics,
        'openedAt', e.opened_at, 'deadline', e.deadline, 'closedAt', e.closed_at)
      from evaluation e where e.version = a.version and e.task = a.task) as evaluation
  from (
    select * from round_attempt where task = ${task} and round = ${round} order by attempt desc limit ${most}
  ) a
    cross join lateral (
      select coalesce(sum(selected), 0)::integer as selected, coalesce(sum(accepted), 0)::integer as accepted,
        coalesce(sum(refused), 0)::integer as refused, coalesce(sum(empty), 0)::integer as empty,
        (sum(weight) filter (where state = 'summed'))::text as weight, min(first_accepted_at) as "firstAcceptedAt"
      from attempt_shard where task = a.task and round = a.round and attempt = a.attempt
    ) s
  order by a.attempt`
