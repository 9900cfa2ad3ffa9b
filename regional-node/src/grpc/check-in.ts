import { create } from '@bufbuild/protobuf'
import { TributaryError } from '@tributary/contracts/errors'
import {
  type AttemptRef as AttemptRefMessage,
  type CheckInRequest,
  type CheckInResponse,
  CheckInResponseSchema,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { protocolRange } from '@tributary/contracts/grpc-service'
import { AttemptRef, Slug } from '@tributary/contracts/ids'
import { deviceConditions } from '@tributary/contracts/round'
import { deploymentWork } from '../deployments/deployment-work.ts'
import type { KnownDevice } from '../devices/device-directory.ts'
import type { Capabilities, Dataset } from '../devices/presence.ts'
import { evaluationWork, trainingWork } from './assignments.ts'
import type { NodeServices } from './node-services.ts'
import { takeFailures } from './take-failures.ts'

const pauses = { idleMillis: 5000, liveMillis: 2000, redirectMillis: 1000 } as const
const most = {
  datasets: 256,
  attempts: 256,
  receipts: 256,
  frameworks: 16,
  failed: 32,
  conditions: 16,
  deployments: 128,
} as const
/** First version of the agent that speaks this protocol. */
const firstAgentVersion = '0.1.0'

/** What shall the device do, when shall it ask again, and which of its work is over. */
export const checkIn =
  (node: NodeServices) =>
  async (request: CheckInRequest, device: KnownDevice): Promise<CheckInResponse> => {
    if (request.protocolMin > protocolRange.max || request.protocolMax < protocolRange.min) {
      const { min: protocolMin, max: protocolMax } = protocolRange
      const value = { protocolMin, protocolMax, minVersion: firstAgentVersion }
      return create(CheckInResponseSchema, { result: { case: 'upgrade', value } })
    }
    const capabilities = readCapabilities(request, device)
    const { shard } = device
    const epoch = node.leases.epochOf(shard)
    if (epoch === undefined || node.isDraining()) {
      const value = { endpoint: node.leases.endpointOf(shard), pauseMillis: pauses.redirectMillis }
      return create(CheckInResponseSchema, { result: { case: 'redirect', value } })
    }
    node.presence.checkedIn(device.device, capabilities)
    await takeFailures(node, device, request.failed)
    if (node.deploymentReports.heard(device, request.deployments)) node.statusChanged()
    const describe = node.descriptionReport.heard(device, request.descriptionsDigest, request.descriptions)
    const training = await firstTraining(node, device, request.receipts)
    const evaluation = node.evaluations.ofShard(shard).find(open => open.offers(device))
    const live = node.attempts.ofShard(shard).length > 0 || node.evaluations.ofShard(shard).length > 0
    const value = {
      protocol: Math.min(request.protocolMax, protocolRange.max),
      pauseMillis: live ? pauses.liveMillis : pauses.idleMillis,
      ...(training === undefined ? {} : { training: await trainingWork(node.tokens, training, device) }),
      ...(evaluation === undefined ? {} : { evaluation: await evaluationWork(node.tokens, evaluation, device) }),
      settled: settlements(node, device, request),
      deployments: await deploymentWork(node.tokens, node.deployments, device, { epoch, now: node.clock.now() }),
      describeDatasets: describe,
    }
    return create(CheckInResponseSchema, { result: { case: 'assignment', value } })
  }

// One attempt at a time, the one that opened first.
const firstTraining = async ({ attempts }: NodeServices, device: KnownDevice, receipts: readonly string[]) => {
  for (const attempt of attempts.ofShard(device.shard)) if (await attempt.offers(device, receipts)) return attempt
  return undefined
}

const settlements = ({ attempts, settled, leases }: NodeServices, { shard }: KnownDevice, request: CheckInRequest) => {
  const refs = new Map<string, AttemptRefMessage>()
  const running = request.running.flatMap(({ attempt }) => attempt ?? [])
  for (const ref of [...request.holding, ...running]) refs.set(`${ref.task}/${ref.round}/${ref.attempt}`, ref)
  return [...refs.values()].flatMap(({ task, round, attempt }) => {
    const ref = AttemptRef.safeParse({ task, round, attempt })
    if (!ref.success) return []
    const outcome = settled.outcomeOf(ref.data)
    if (outcome !== undefined) return [{ attempt: ref.data, outcome: outcome as string }]
    // Only who holds the lease knows that an attempt is no longer there.
    const known = attempts.has(ref.data) || !leases.holds(shard, leases.epochOf(shard) ?? 0)
    return known ? [] : [{ attempt: ref.data, outcome: 'unknown' }]
  })
}

/** @throws TributaryError BODY_INVALID */
const readCapabilities = (
  { datasets, frameworks, holding, running, failed, conditions, deployments, receipts, agentVersion }: CheckInRequest,
  { certificateSha256 }: KnownDevice,
): Capabilities => {
  if (
    datasets.length > most.datasets ||
    frameworks.length > most.frameworks ||
    failed.length > most.failed ||
    conditions.length > most.conditions ||
    deployments.length > most.deployments ||
    receipts.length > most.receipts ||
    holding.length + running.length > most.attempts
  ) {
    throw new TributaryError('BODY_INVALID', { detail: 'The check-in lists more than a device can have.' })
  }
  const held = new Map<string, Dataset>()
  for (const { name, examples, heldOut } of datasets) {
    if (!Slug.safeParse(name).success)
      throw new TributaryError('BODY_INVALID', { detail: 'A data set has no valid name.' })
    held.set(name, { examples: Number(examples), heldOut })
  }
  return {
    datasets: held,
    frameworks: new Set(frameworks),
    // An agent of a later version may know of more.
    conditions: new Set(deviceConditions.filter(condition => conditions.includes(condition))),
    agentVersion,
    certificateSha256,
  }
}
