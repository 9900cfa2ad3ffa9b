import type { DerivedMetrics } from '@tributary/contracts/evaluation-metrics'
import type { MetricSums } from '@tributary/contracts/round'
import { deriveMetrics } from '@tributary/learning/evaluation/derive-metrics'
import type { Sql } from '../database/transaction.ts'
import { metricOf } from './metric-sums.ts'

/** What evaluators found about a version. */
export type EvaluationResult = {
  readonly examples: number
  /** Null without examples; accuracy also where labels are numbers. */
  readonly accuracy: number | null
  readonly loss: number | null
  /** These two and all others, by name. */
  readonly results: DerivedMetrics
}

export const resultOf = (metrics: MetricSums): EvaluationResult => {
  const results: DerivedMetrics = deriveMetrics(metrics)
  const { accuracy = null, loss = null } = results
  // Each shard's are below 2^53; those that several nodes make up need not be.
  const examples = Math.min(Number(metricOf(metrics, 'examples')), Number.MAX_SAFE_INTEGER)
  return { examples, accuracy, loss, results }
}

export const noResult: EvaluationResult = { examples: 0, accuracy: null, loss: null, results: {} }

/** An evaluation's result as it is kept; its sums where none is, of which there are few then. Null where there is no evaluation. */
export type KeptResult = { readonly result: EvaluationResult } | { readonly sums: MetricSums } | null

/** A KeptResult of `evaluation e`. */
export const keptResult = (sql: Sql) => sql`
  case when e.result is not null then jsonb_build_object('result', e.result)
    when e.id is not null then jsonb_build_object('sums', e.metrics) end`

export const readResult = (kept: KeptResult): EvaluationResult =>
  kept === null ? noResult : 'result' in kept ? kept.result : resultOf(kept.sums)
