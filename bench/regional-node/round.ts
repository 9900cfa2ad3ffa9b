import type { ShardSummed } from '@tributary/contracts/events'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { sampleDescriptor } from '@tributary/regional-node/testing/sample-round'
import { weightsLayout } from '@tributary/tensors/manifest'
import type { DeviceFleet } from './device-fleet.ts'
import { cpuSeconds } from './measured-process.ts'
import type { Done } from './orders.ts'
import { type NodeProcess, type Stage, until } from './stage.ts'
import { manifestOf } from './update-frames.ts'

/** The model of rounds: its base is zeros. */
export type Model = {
  readonly values: number
  readonly base: RoundDescriptor['base']
  readonly manifest: RoundDescriptor['manifest']
}

export const storeModel = async (stage: Stage, values: number): Promise<Model> => {
  const manifest = await stage.put(`models/m/${values}.json`, Buffer.from(JSON.stringify(manifestOf(values))))
  const { header, fileBytes } = weightsLayout(manifestOf(values))
  const file = Buffer.alloc(fileBytes)
  file.set(header)
  const base = await stage.put(`models/m/${values}.safetensors`, file)
  return { values, manifest, base: { ...sampleDescriptor(0).base, ...base } }
}

/** A round whose sum is in storage. */
export type SummedRound = {
  readonly values: number
  readonly descriptor: RoundDescriptor
  readonly event: ShardSummed
}

export type RoundResult = {
  readonly pushed: Done
  readonly summed: SummedRound
  /** Of the node, from the first update to the last receipt. */
  readonly cpuSeconds: number
  /** From the last receipt until central has heard of the sum, which is then in storage. */
  readonly closeSeconds: number
  /** Of the node's event loop while updates came. */
  readonly loopP99Seconds: number
}

/** How devices come: with connections that are open, or each with one of its own for its visit. */
export type RoundSetting = { readonly devices: number; readonly atOnce: number; readonly isVisit: boolean }

/** One round: all devices have checked in and have work, then they send. */
export const playRound = async (
  { stage, node, fleet }: { stage: Stage; node: NodeProcess; fleet: DeviceFleet },
  { base, manifest, values }: Model,
  { devices, atOnce, isVisit }: RoundSetting,
): Promise<RoundResult> => {
  const sample = sampleDescriptor(Date.now(), { goal: devices, select: devices })
  const deadline = new Date(Date.now() + 3_600_000).toISOString()
  const descriptor: RoundDescriptor = {
    ...sample,
    selectionDeadline: deadline,
    deadline,
    base,
    manifest,
    sum: { ...sample.sum, maxUpdates: devices },
  }
  const { summed } = stage.openAttempt(descriptor)
  await until('the attempt is open', async () => (await node.metric('tributary_attempts')) > 0)
  if (!isVisit) await fleet.order({ kind: 'checkIn', count: devices, atOnce, wantsWork: true })
  await node.metric('nodejs_eventloop_lag_p99_seconds')
  const before = await cpuSeconds(node.pid)
  const pushed = await fleet.order({ kind: 'push', count: devices, atOnce, values, isBare: false, isVisit })
  const lastReceipt = performance.now()
  const after = await cpuSeconds(node.pid)
  const loopP99Seconds = await node.metric('nodejs_eventloop_lag_p99_seconds')
  const { at, event } = await summed
  if (event.accepted !== devices) throw new Error(`${event.accepted} of ${devices} updates are in the sum`)
  stage.settle(descriptor)
  await until('the attempt is settled', async () => (await node.metric('tributary_attempts')) === 0)
  const closeSeconds = Math.max(0, at - lastReceipt) / 1000
  return { pushed, summed: { values, descriptor, event }, cpuSeconds: after - before, closeSeconds, loopP99Seconds }
}
