import { type DerivedMetric, type DerivedMetrics, derivedMetrics } from '@tributary/contracts/evaluation-metrics'
import type { StopConditions } from '@tributary/contracts/stop-conditions'
import type { Reason } from '../rounds/reason.ts'

/** What the evaluation of a round's version found. */
export type EvaluatedRound = {
  readonly round: number
  /** Null where nobody evaluated it. */
  readonly loss: number | null
  /** All values by name, accuracy and loss among them. */
  readonly results: DerivedMetrics
  readonly examples: number
  /** How many devices reported, be it nothing: a loss that is not finite counts as no examples. */
  readonly evaluators: number
}

type Verdict = { readonly kind: 'complete' | 'fail'; readonly reason: Reason }

type Measured = { readonly round: number; readonly value: number }

/**
 * Whether closed evaluations end their task, and how. They may close in any order; what counts is the order of rounds. Rounds
 * that nobody evaluated are passed over.
 * @param rounds ascending
 */
export const judgeStop = (stop: StopConditions, rounds: readonly EvaluatedRound[]): Verdict | null =>
  // A diverged model must not end as completed, so this comes first.
  divergence(stop, rounds) ?? target(stop, rounds) ?? patience(stop, rounds)

const divergence = ({ divergence: guard }: StopConditions, rounds: readonly EvaluatedRound[]): Verdict | null => {
  if (guard === undefined) return null
  let lowest = Number.POSITIVE_INFINITY
  let measured = false
  for (const { round, loss, examples, evaluators } of rounds) {
    if (measured && examples === 0 && evaluators > 0) {
      return fail(`round ${round}: no evaluator found a finite loss, and earlier rounds had one`)
    }
    measured ||= examples > 0
    if (loss === null) continue
    // No multiple of zero, or of a loss below it, says anything.
    if (lowest > 0 && loss > guard.factor * lowest) {
      return fail(`round ${round}: the loss is ${loss}, more than ${guard.factor} times the lowest so far, ${lowest}`)
    }
    lowest = Math.min(lowest, loss)
  }
  return null
}

const target = ({ target: wish }: StopConditions, rounds: readonly EvaluatedRound[]): Verdict | null => {
  if (wish === undefined) return null
  const reached = measuredBy(wish.metric, rounds).find(({ value }) =>
    derivedMetrics[wish.metric].higherIsBetter ? value >= wish.value : value <= wish.value,
  )
  if (reached === undefined) return null
  return complete('STOP_TARGET', `round ${reached.round} reached ${wish.metric} ${reached.value}, wanted ${wish.value}`)
}

const patience = ({ patience: wish }: StopConditions, rounds: readonly EvaluatedRound[]): Verdict | null => {
  if (wish === undefined) return null
  const { metric, minimumDelta } = wish
  const { higherIsBetter } = derivedMetrics[metric]
  let best: Measured | undefined
  let vain = 0
  for (const found of measuredBy(metric, rounds)) {
    const gain = best === undefined ? Infinity : higherIsBetter ? found.value - best.value : best.value - found.value
    // Equal is not better, also where no least gain is asked.
    if (gain >= minimumDelta && gain > 0) {
      best = found
      vain = 0
      continue
    }
    vain += 1
    if (vain >= wish.rounds) {
      const since = `${metric} ${best?.value} of round ${best?.round}`
      return complete('STOP_PATIENCE', `${vain} evaluated rounds in a row were not better than ${since}`)
    }
  }
  return null
}

const measuredBy = (metric: DerivedMetric, rounds: readonly EvaluatedRound[]): Measured[] =>
  rounds.flatMap(({ round, results: { [metric]: value = null } }) => (value === null ? [] : [{ round, value }]))

const fail = (detail: string): Verdict => ({ kind: 'fail', reason: { code: 'DIVERGED', detail } })
const complete = (code: string, detail: string): Verdict => ({ kind: 'complete', reason: { code, detail } })
