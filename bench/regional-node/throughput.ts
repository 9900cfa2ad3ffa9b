import { randomBytes } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { median, percentile } from '../statistics.ts'
import { DeviceFleet } from './device-fleet.ts'
import { cpuSeconds, peakMegabytes } from './measured-process.ts'
import { mergeRound } from './merge.ts'
import { playRound, type RoundResult, storeModel } from './round.ts'
import type { Stage } from './stage.ts'
import type { Table } from './table.ts'

/** @param perSecond limit: updates a second */
export type Load = {
  readonly name: string
  readonly values: number
  readonly perSecond: number
  readonly devices: number
  readonly rounds: number
}

const atOnce = 64
const fsyncMillis = 1500

/**
 * Rounds of devices that each keep a connection of their own, 64 of which send at a time; the first round warms up and does not
 * count. Beside it the peer with the same devices and bytes, and appends of the same bytes to one file, an fdatasync each.
 */
export const measureThroughput = async (
  stage: Stage,
  { name, values, perSecond, devices: count, rounds }: Load,
  table: Table,
  nodeOptions: readonly string[],
): Promise<void> => {
  const devices = await stage.devices(count)
  const model = await storeModel(stage, values)
  await using node = await stage.startNode(nodeOptions)
  await using fleet = await DeviceFleet.start(devices, node.port)
  await fleet.order({ kind: 'connect', count, atOnce: 16 })
  const results: RoundResult[] = []
  const commits: { closeSeconds: number; mergeSeconds: number; seconds: number }[] = []
  for (let round = 0; round <= rounds; round += 1) {
    const result = await playRound({ stage, node, fleet }, model, { devices: count, atOnce, isVisit: false })
    if (round === 0) continue
    results.push(result)
    const { closeSeconds } = result
    const mergeSeconds = await mergeRound(stage, result.summed)
    commits.push({ closeSeconds, mergeSeconds, seconds: closeSeconds + mergeSeconds })
  }
  const nodePeak = await peakMegabytes(node.pid)
  const rates = results.map(({ pushed }) => pushed.done / pushed.seconds)
  const times = results.flatMap(({ pushed }) => pushed.times)

  await using peer = await stage.startPeer()
  await fleet.order({ kind: 'enrol', port: peer.port, devices })
  await fleet.order({ kind: 'connect', count, atOnce: 16 })
  const bare: number[] = []
  let bareCpu = 0
  for (let round = 0; round <= rounds; round += 1) {
    const before = await cpuSeconds(peer.pid)
    const { done, seconds } = await fleet.order({ kind: 'push', count, atOnce, values, isBare: true, isVisit: false })
    if (round === 0) continue
    bare.push(done / seconds)
    bareCpu += (await cpuSeconds(peer.pid)) - before
  }
  const nodeCpu = results.reduce((sum, result) => sum + result.cpuSeconds, 0) / (count * rounds)
  const clientCpu = results.reduce((sum, { pushed }) => sum + pushed.cpuSeconds, 0) / (count * rounds)
  const appends = await appendRate(stage.folder, 4 * values)

  table.row(`updates of ${name}`, {
    value: median(rates),
    unit: '/s',
    limit: perSecond,
    wants: 'more',
    notes: [
      `best ${Math.max(...rates).toFixed(0)}`,
      `bare gRPC ${median(bare).toFixed(0)}`,
      `append + fdatasync ${appends.toFixed(0)}`,
      `${count} connections`,
      `answer p50 ${median(times).toFixed(0)} p99 ${percentile(times, 0.99).toFixed(0)} ms`,
      `refused for a moment ${results.reduce((sum, { pushed }) => sum + pushed.refused, 0)}`,
    ],
  })
  table.row('  CPU of the node for each', {
    value: 1000 * nodeCpu,
    unit: 'ms',
    limit: null,
    wants: 'less',
    notes: [
      `bare gRPC ${((1000 * bareCpu) / (count * rounds)).toFixed(2)} ms`,
      `of the devices' process ${(1000 * clientCpu).toFixed(2)} ms`,
      `2 cores for both alone would carry ${(2 / (nodeCpu + clientCpu)).toFixed(0)}/s`,
    ],
  })
  const lag = Math.max(...results.map(({ loopP99Seconds }) => loopP99Seconds))
  table.row('  event loop p99', { value: lag * 1000, unit: 'ms', limit: 50, wants: 'less' })
  table.row('  resident at most', { value: nodePeak, unit: 'MB', limit: 300, wants: 'less' })
  const longest = Math.max(...commits.map(({ seconds }) => seconds))
  const isJudged = count >= 1000 && values === 100_000
  table.row(`  last receipt to the next version, ${count} devices`, {
    value: longest,
    unit: 's',
    limit: isJudged ? 6 : null,
    wants: 'less',
    notes: [
      `to the sum in storage ${Math.max(...commits.map(({ closeSeconds }) => closeSeconds)).toFixed(2)} s`,
      `merge ${Math.max(...commits.map(({ mergeSeconds }) => mergeSeconds)).toFixed(2)} s`,
    ],
  })
}

/** Appends a second to one file, each made durable before the next. */
const appendRate = async (folder: string, bytes: number): Promise<number> => {
  const path = join(folder, 'append')
  const body = randomBytes(bytes)
  let count = 0
  const began = performance.now()
  {
    await using file = await open(path, 'w')
    while (performance.now() - began < fsyncMillis) {
      await file.write(body, 0, bytes, count * bytes)
      await file.datasync()
      count += 1
    }
  }
  const seconds = (performance.now() - began) / 1000
  await rm(path)
  return count / seconds
}
