import { create } from '@bufbuild/protobuf'
import {
  type ReportEvaluationRequest,
  type ReportEvaluationResponse,
  ReportEvaluationResponseSchema,
  type Verdict,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { isEvaluationSum } from '@tributary/learning/evaluation/sum-names'
import type { KnownDevice } from '../devices/device-directory.ts'
import { metricsFault } from './metrics-fault.ts'
import { readMetrics } from './metrics-from-wire.ts'
import type { NodeServices } from './node-services.ts'
import { verdicts } from './verdicts.ts'

/** Takes an evaluator's metrics; the same evaluator again counts once. */
export const reportEvaluation =
  (node: Pick<NodeServices, 'tokens' | 'leases' | 'evaluations'>) =>
  async (request: ReportEvaluationRequest, device: KnownDevice): Promise<ReportEvaluationResponse> =>
    create(ReportEvaluationResponseSchema, { verdict: await judge(node, request, device) })

const judge = async (
  { tokens, leases, evaluations }: Pick<NodeServices, 'tokens' | 'leases' | 'evaluations'>,
  { token: text, evaluation: id, examples, metrics: sent }: ReportEvaluationRequest,
  { device, certificateSha256 }: KnownDevice,
): Promise<Verdict> => {
  const token = await tokens.read(text)
  if (token?.work !== 'evaluation' || token.evaluation !== id) return verdicts.unauthorised()
  if (token.device !== device || token.certificateSha256 !== certificateSha256) return verdicts.unauthorised()
  const { shard, epoch } = token
  const leased = leases.epochOf(shard)
  if (leased === undefined) return verdicts.wrongShard(leases.endpointOf(shard))
  if (leased !== epoch) return verdicts.wrongEpoch()
  if (!leases.holds(shard, epoch)) return verdicts.retryAfter(1000, 'The lease is being renewed.')
  const evaluation = evaluations.find(id, shard)
  if (evaluation === undefined) return evaluations.isSettled(id) ? verdicts.late() : verdicts.wrongAttempt()
  const earlier = evaluation.reportOf(device)
  if (earlier !== undefined) {
    await earlier
    return verdicts.already('')
  }
  if (evaluation.hasFailed(device)) return verdicts.declined()
  if (!evaluation.isOpen) return verdicts.late()
  const metrics = readMetrics(sent, examples, isEvaluationSum)
  const fault = metrics.ok ? metricsFault(metrics.sums) : metrics.detail
  if (!metrics.ok || fault !== null) {
    const detail = fault ?? ''
    // Its part is over: it would find the same again.
    await evaluation.fail(device, { code: 'METRICS_INVALID', detail })
    return verdicts.invalid('METRICS_INVALID', detail)
  }
  await evaluation.report(device, metrics.sums)
  return verdicts.accepted('')
}
