import { TributaryError } from '@tributary/contracts/errors'
import { canDerive, derivedMetrics, metricsOfLoss } from '@tributary/contracts/evaluation-metrics'
import { frameworksOf } from '@tributary/contracts/round'
import type { CreateTask } from '@tributary/contracts/tasks'
import { overSelection } from '@tributary/learning/seeded/selection'
import type { Transaction } from '../database/transaction.ts'
import { sumRuleOf } from '../rounds/sum-rule.ts'
import type { ChosenVersion } from './choose-version.ts'
import { checkStatisticsTask } from './statistics/check-statistics-task.ts'

/**
 * What the fields of a task must fulfil together.
 * @throws TributaryError BODY_INVALID, COHORT_IMPOSSIBLE, MODEL_INVALID, RULE_UNKNOWN, RULE_NOT_DECOMPOSABLE, SUM_WOULD_OVERFLOW
 */
export const checkTask = (task: CreateTask, version: ChosenVersion): void => {
  const { goal, minimumToStart, quorum, overSelection: factor } = task.cohort.size
  if (goal !== null && (quorum > goal || minimumToStart > goal)) {
    const detail = `cohort.size: goal ${goal}, quorum ${quorum}, minimumToStart ${minimumToStart}`
    throw new TributaryError('COHORT_IMPOSSIBLE', { detail })
  }
  const frameworks = frameworksOf(task.trainer)
  if (frameworks.includes('statistics') || version.statistics !== null) checkStatisticsTask(task, version)
  if (frameworks.includes('onnx') && !version.hasGraph) {
    const detail = 'devices of the task may train in onnx, but the model version has no forward graph'
    throw new TributaryError('MODEL_INVALID', { detail })
  }
  const installed = frameworks.find(framework => framework !== 'onnx' && framework !== 'statistics')
  if (installed !== undefined && task.trainer.trainer === undefined) {
    const errors = [{ path: 'trainer.trainer', message: `framework ${installed} needs the name of training code` }]
    throw new TributaryError('BODY_INVALID', { extra: { errors } })
  }
  const errors = evaluationFaults(task)
  if (errors.length > 0) throw new TributaryError('BODY_INVALID', { extra: { errors } })
  // Without a goal the number of updates is known only when a round opens, and is checked again there.
  sumRuleOf(task, goal === null ? 1 : overSelection(goal, factor, Number.MAX_SAFE_INTEGER))
}

/** Metrics that have no meaning under the task's loss, and stop conditions on values that its evaluations never have. */
const evaluationFaults = ({ trainer: { loss }, evaluation, stop }: CreateTask): { path: string; message: string }[] => {
  const { metrics } = evaluation
  const fitting = metricsOfLoss[loss]
  const unfit = (metrics ?? []).flatMap((metric, index) =>
    fitting.includes(metric)
      ? []
      : [{ path: `evaluation.metrics.${index}`, message: `${loss} has no ${metric}; it has ${fitting.join(', ')}` }],
  )
  const unknown = (['target', 'patience'] as const).flatMap(condition => {
    const metric = stop[condition]?.metric
    if (metric === undefined || canDerive(metric, { loss, metrics })) return []
    const message = `evaluations of this task find no ${metric}: it is of ${derivedMetrics[metric].of.join(' or ')}`
    return [{ path: `stop.${condition}.metric`, message }]
  })
  return [...unfit, ...unknown]
}

/** @throws TributaryError REGION_UNKNOWN */
export const checkRegions = async (sql: Transaction, regions: readonly string[]): Promise<void> => {
  if (regions.length === 0) return
  const rows = await sql<{ region: string }[]>`select region from region where region = any(${[...regions]}::text[])`
  const known = new Set(rows.map(row => row.region))
  const unknown = regions.filter(region => !known.has(region))
  if (unknown.length > 0) {
    throw new TributaryError('REGION_UNKNOWN', { detail: `regions: ${unknown.slice(0, 10).join(', ')}` })
  }
}
