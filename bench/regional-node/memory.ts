import { setTimeout as sleep } from 'node:timers/promises'
import { DeviceFleet } from './device-fleet.ts'
import { peakMegabytes, residentMegabytes } from './measured-process.ts'
import { playRound, storeModel } from './round.ts'
import type { Stage } from './stage.ts'
import type { Table } from './table.ts'

const visitsAtOnce = 16
/** Long enough that garbage of the arrivals is collected. */
const idleMillis = 20_000
const MiB = 2 ** 20

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
      unit: 'MiB',
      limit: 300,
      wants: 'less',
    })
  }
  const spread = 100 * (Math.max(...peaks) / Math.min(...peaks) - 1)
  table.row(`  spread over ${deviceCounts.join(', ')} devices`, { value: spread, unit: '%', limit: 10, wants: 'less' })
}

/** What a device costs that is connected, has checked in and has had nothing to do for a while. */
export const measureIdle = async (
  stage: Stage,
  count: number,
  table: Table,
  nodeOptions: readonly string[],
): Promise<void> => {
  await using node = await stage.startNode(nodeOptions)
  const devices = await stage.devices(count)
  // A client process has descriptors for so many.
  await using fleets = new AsyncDisposableStack()
  const parts = Array.from({ length: Math.ceil(count / 5000) }, (_, i) => devices.slice(5000 * i, 5000 * (i + 1)))
  const warmUp = await DeviceFleet.start(devices.slice(0, 20), node.port)
  await warmUp.order({ kind: 'checkIn', count: 20, atOnce: 20, wantsWork: false })
  await warmUp[Symbol.asyncDispose]()
  const before = await residentMegabytes(node.pid)
  const began = performance.now()
  for (const part of parts) {
    const fleet = fleets.use(await DeviceFleet.start(part, node.port))
    await fleet.order({ kind: 'checkIn', count: part.length, atOnce: 32, wantsWork: false })
    // The second check-in is what an idle device does from then on.
    await fleet.order({ kind: 'checkIn', count: part.length, atOnce: 32, wantsWork: false })
  }
  const seconds = (performance.now() - began) / 1000
  const arrived = await residentMegabytes(node.pid)
  await sleep(idleMillis)
  const after = await residentMegabytes(node.pid)
  const heap = (await node.metric('nodejs_heap_size_used_bytes')) / MiB
  table.row(`an idle device of ${count}`, {
    value: ((after - before) * 1024) / count,
    unit: 'KiB',
    limit: 100,
    wants: 'less',
    notes: [
      `resident ${before.toFixed(0)} → ${arrived.toFixed(0)} MiB, ${after.toFixed(0)} after ${idleMillis / 1000} s`,
      `heap in use ${heap.toFixed(0)} MiB`,
      `${(count / seconds).toFixed(0)} came a second`,
    ],
  })
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
    unit: 'MiB',
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
