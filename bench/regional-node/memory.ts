import { setTimeout as sleep } from 'node:timers/promises'
import { DeviceFleet } from './device-fleet.ts'
import { peakMegabytes, residentMegabytes } from './measured-process.ts'
import type { Order, SimulatedDevice } from './orders.ts'
import { playRound, storeModel } from './round.ts'
import type { ServerProcess, Stage } from './stage.ts'
import type { Table } from './table.ts'

const visitsAtOnce = 16
/** A client process has descriptors for so many devices. */
const mostOfProcess = 5000
/** Long enough that garbage of the arrivals is collected. */
const idleMillis = 20_000

/**
 * Resident memory at its most after the same number of updates from few or many devices. Each device opens a connection, checks
 * in, sends and leaves, 16 at a time; what a connection that stays costs is measured by `measureIdle`.
 */
export const measureResident = async (
  stage: Stage,
  deviceCounts: readonly number[],
  table: Table,
  nodeOptions: readonly string[],
): Promise<void> => {
  const most = Math.max(...deviceCounts)
  const model = await storeModel(stage, 100_000)
  const peaks: number[] = []
  for (const count of deviceCounts) {
    await using node = await stage.startNode(nodeOptions)
    await using fleet = await DeviceFleet.start(await stage.devices(count), node.port)
    for (let round = 0; round < most / count; round += 1)
      await playRound({ stage, node, fleet }, model, { devices: count, atOnce: visitsAtOnce, isVisit: true })
    const peak = await peakMegabytes(node.pid)
    peaks.push(peak)
    table.row(`resident at most, ${most / count} × ${count} devices, 400 KB`, {
      value: peak,
      unit: 'MB',
      limit: 300,
      wants: 'less',
    })
  }
  const spread = 100 * (Math.max(...peaks) / Math.min(...peaks) - 1)
  table.row(`  spread over ${deviceCounts.join(', ')} devices`, { value: spread, unit: '%', limit: 10, wants: 'less' })
}

/** What a device costs that is connected, has called twice and has had nothing to do for a while; beside it the same of the peer. */
export const measureIdle = async (
  stage: Stage,
  count: number,
  table: Table,
  nodeOptions: readonly string[],
): Promise<void> => {
  const devices = await stage.devices(count)
  await using node = await stage.startNode(nodeOptions)
  const heap = async (): Promise<number> => (await node.metric('nodejs_heap_size_used_bytes')) / 1e6
  const heapBefore = await heap()
  const ofNode = await idleAt(node, devices, { kind: 'checkIn', atOnce: 32, wantsWork: false })
  const heapAfter = await heap()
  await node[Symbol.asyncDispose]()
  await using peer = await stage.startPeer()
  const ofPeer = await idleAt(peer, devices, { kind: 'push', atOnce: 32, values: 1, isBare: true, isVisit: false })
  table.row(`an idle device of ${count}`, {
    value: ((ofNode.idle - ofNode.before) * 1000) / count,
    unit: 'KB',
    limit: 100,
    wants: 'less',
    notes: [
      `bare gRPC ${(((ofPeer.idle - ofPeer.before) * 1000) / count).toFixed(0)} KB`,
      `resident ${ofNode.before.toFixed(0)} → ${ofNode.arrived.toFixed(0)} MB, ${ofNode.idle.toFixed(0)} after ${idleMillis / 1000} s`,
      `heap in use ${heapBefore.toFixed(0)} → ${heapAfter.toFixed(0)} MB`,
      `${(count / ofNode.seconds).toFixed(0)} came a second`,
    ],
  })
}

type Call = Omit<Extract<Order, { kind: 'checkIn' }>, 'count'> | Omit<Extract<Order, { kind: 'push' }>, 'count'>

/** Resident memory, MB, before devices come, when all have called twice, and after a while without a word. */
const idleAt = async ({ pid, port }: ServerProcess, devices: readonly SimulatedDevice[], call: Call) => {
  {
    await using warmUp = await DeviceFleet.start(devices.slice(0, 20), port)
    await warmUp.order({ ...call, count: 20 })
  }
  const before = await residentMegabytes(pid)
  const began = performance.now()
  await using fleets = new AsyncDisposableStack()
  for (let first = 0; first < devices.length; first += mostOfProcess) {
    const part = devices.slice(first, first + mostOfProcess)
    const fleet = fleets.use(await DeviceFleet.start(part, port))
    await fleet.order({ ...call, count: part.length })
    // The second call is what an idle device does from then on.
    await fleet.order({ ...call, count: part.length })
  }
  const seconds = (performance.now() - began) / 1000
  const arrived = await residentMegabytes(pid)
  await sleep(idleMillis)
  return { before, arrived, idle: await residentMegabytes(pid), seconds }
}

/** A model of 1 GB. */
export const measureLarge = async (
  stage: Stage,
  count: number,
  table: Table,
  nodeOptions: readonly string[],
): Promise<void> => {
  const model = await storeModel(stage, 250_000_000)
  await using node = await stage.startNode(nodeOptions)
  await using fleet = await DeviceFleet.start(await stage.devices(count), node.port)
  const { pushed, cpuSeconds, closeSeconds, loopP99Seconds } = await playRound({ stage, node, fleet }, model, {
    devices: count,
    atOnce: count,
    isVisit: false,
  })
  table.row(`resident at most, ${count} devices, 1 GB`, {
    value: await peakMegabytes(node.pid),
    unit: 'MB',
    limit: 400,
    wants: 'less',
    notes: [
      `${((count * 1000) / pushed.seconds).toFixed(0)} MB/s`,
      `CPU ${(cpuSeconds / count).toFixed(1)} s an update`,
      `last receipt to the sum in storage ${closeSeconds.toFixed(1)} s`,
      `event loop p99 ${(loopP99Seconds * 1000).toFixed(0)} ms`,
    ],
  })
}
