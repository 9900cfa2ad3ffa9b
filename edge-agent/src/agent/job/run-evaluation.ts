import { setTimeout as delay } from 'node:timers/promises'
import { create } from '@bufbuild/protobuf'
import { ReportEvaluationRequestSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { EvaluationFindings } from '../../state/outbox.ts'
import { askedMetrics } from '../../training/asked-metrics.ts'
import { lossOf } from '../../training/graph-options.ts'
import type { EvaluationResult } from '../../training/trainer.ts'
import { Backoff } from '../../transport/backoff.ts'
import { isRetryable } from '../../transport/call-error.ts'
import type { NodeClient } from '../../transport/node-client.ts'
import { pullObject } from '../../transport/pull-object.ts'
import type { AgentContext } from '../context.ts'
import { findingsOf } from './evaluation-findings.ts'
import { type Failure, failureOf } from './failure.ts'
import type { JobControl, JobOutcome } from './job-slot.ts'
import { loadData } from './load-data.ts'
import { logFailure } from './log-failure.ts'
import { loadBundle } from './model-bundle.ts'
import { withOwnValues } from './own-values.ts'
import { evaluateInPython } from './train-in-python.ts'
import { actionFor } from './verdict.ts'
import type { EvaluationJob } from './work.ts'

const mostTries = 5

/**
 * Evaluates one version on a held-out data set and reports it. What was found waits in the outbox until the node has it.
 * @param declare told why nobody need wait for a report, where there will be none
 */
export const runEvaluation = async (
  context: AgentContext,
  job: EvaluationJob,
  control: JobControl<EvaluationJob>,
  declare: (failure: Failure | undefined) => void,
): Promise<JobOutcome> => {
  const { outbox } = context
  const log = context.log.child({ evaluation: job.evaluation })
  try {
    const client = context.endpoints.client()
    const known = outbox.findings(job.evaluation)
    const findings = known ?? (await evaluate(job)(context, client, job, control))
    if (known === undefined) outbox.addFindings(job.evaluation, findings)
    const outcome = await report(context, client, job, findings, control)
    if (outcome === 'over') outbox.removeFindings(job.evaluation)
    return outcome
  } catch (error) {
    const outcome = logFailure(log, 'evaluation', error, control.signal)
    if (outcome === 'over') declare(failureOf(error))
    return outcome
  }
}

const evaluate =
  ({ trainer }: EvaluationJob) =>
  async (
    context: AgentContext,
    client: NodeClient,
    job: EvaluationJob,
    control: JobControl<EvaluationJob>,
  ): Promise<EvaluationFindings> => {
    const metrics = askedMetrics(job.metrics, trainer.loss, context.policy.share.labelHistograms)
    const found = trainer.framework === 'onnx' ? evaluateOnnx : evaluateInPython
    return findingsOf(await found(context, client, { ...job, metrics }, control))
  }

const evaluateOnnx = async (
  context: AgentContext,
  client: NodeClient,
  job: EvaluationJob,
  control: JobControl<EvaluationJob>,
): Promise<EvaluationResult> => {
  const { objects, local, trainer } = context
  const { signal, latest } = control
  const data = await loadData(context, client, job, 'evaluation', control)
  const bundle = await loadBundle(job, info => pullObject(objects, client, latest().token, info, signal))
  // A personal model is what this device has of it; who never trained in the task has the version as it is.
  const weights = await withOwnValues(bundle, await local.newest(job.task))
  const { metrics } = job
  return trainer.evaluate({ graph: bundle.graph, weights, data, loss: lossOf(job.trainer), metrics }, { signal })
}

const report = async (
  { endpoints, ledger, log }: AgentContext,
  client: NodeClient,
  { evaluation }: EvaluationJob,
  findings: EvaluationFindings,
  { signal, latest }: JobControl<EvaluationJob>,
): Promise<JobOutcome> => {
  const backoff = new Backoff()
  for (let tries = 1; ; tries += 1) {
    try {
      const request = create(ReportEvaluationRequestSchema, {
        token: latest().token,
        evaluation,
        examples: findings.examples,
        seconds: findings.seconds,
        metrics: [
          { name: 'examples', value: findings.examples },
          ...Object.entries(findings.sums).map(([name, sum]) => ({ name, value: BigInt(sum) })),
        ],
      })
      const { verdict } = await client.reportEvaluation(request, signal)
      const action = actionFor(verdict)
      if (action.kind === 'retry' && tries < mostTries) {
        await delay(action.afterMillis, undefined, { signal })
        continue
      }
      if (action.kind === 'redirect') endpoints.redirect(action.endpoint)
      const reason = 'reason' in action ? action.reason : action.kind === 'keep' ? 'accepted' : action.kind
      const metrics = kindsOf(request.metrics.map(({ name }) => name))
      ledger.record({ kind: 'evaluation', evaluation, examples: Number(findings.examples), metrics, verdict: reason })
      log.info({ evaluation, examples: Number(findings.examples), verdict: reason }, 'evaluation reported')
      return action.kind === 'keep' || action.kind === 'drop' ? 'over' : 'again'
    } catch (error) {
      signal.throwIfAborted()
      if (!isRetryable(error) || tries >= mostTries) throw error
      await backoff.wait(signal)
    }
  }
}

/** Names for a person: one for all counts of a kind. */
const kindsOf = (names: readonly string[]): string[] => [
  ...new Set(names.map(name => name.replace(/(?:_\d+)+$/, '_…'))),
]
