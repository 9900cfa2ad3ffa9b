import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ensureDeviceData } from '../demo/device-data.ts'
import { createDemoTask } from '../demo/run-task.ts'
import { ensureStartModel } from '../demo/start-model.ts'
import { ensureBuilds } from '../platform/builds.ts'
import { startPlatform } from '../platform/start-platform.ts'
import { startWatchdog } from '../processes/watchdog.ts'
import { startBackingServices } from '../services/start-services.ts'
import { readStackEnvironment } from '../settings/config.ts'
import { prepareFolders } from '../settings/folders.ts'
import { stackPorts } from '../settings/ports.ts'
import { lockState } from '../settings/state-lock.ts'
import { parseStartOptions } from '../start/options.ts'
import { memoryOfProcesses } from './memory-of-processes.ts'
import type { Sample } from './memory-trend.ts'

const root = join(import.meta.dirname, '..', '..', '..', '..')
const sampleMillis = 1000
/** Rounds of one task: what a task leaves behind shows as well. */
const roundsOfTask = 50
/** MNIST is cut into so many parts, and each device has one: rounds are short. */
const parts = 120
const stallSeconds = 120

export type SoakOptions = {
  readonly rounds: number
  /** Goes on until both are reached. */
  readonly hours: number
  readonly devices: number
  readonly regions: number
  readonly portBase: number
}
export type SoakResult = {
  /** By kind of process: their own memory, all of a kind together; and the heaps of nodes. */
  readonly series: ReadonlyMap<string, readonly Sample[]>
  readonly rounds: number
  readonly seconds: number
  /** What did not go as it should. */
  readonly faults: readonly string[]
}

/** Runs round after round in the real local stack and looks at the memory of every process meanwhile. */
export const runSoak = async (
  { rounds: wantedRounds, hours, devices, regions, portBase }: SoakOptions,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<SoakResult> => {
  const argumentsOf = (rounds: number): string[] => [
    ...['--devices', `${devices}`, '--regions', `${regions}`],
    ...['--rounds', `${rounds}`, '--port-base', `${portBase}`],
  ]
  const options = parseStartOptions(argumentsOf(roundsOfTask))
  const environment = readStackEnvironment()
  const faults: string[] = []
  await using stack = new AsyncDisposableStack()
  const folders = await prepareFolders(root, portBase, environment)
  const watchdog = stack.use(await startWatchdog())
  stack.use(await lockState(folders.state, watchdog.pid))
  const ports = stackPorts({ portBase, regions })
  const report: Parameters<typeof startPlatform>[0]['report'] = event => {
    if (event.kind === 'ended') faults.push(`${event.service}: ${event.message}`)
  }
  await ensureBuilds(root, signal)
  const all = await ensureDeviceData(join(folders.state, 'data'), { ...options, devices: parts })
  const data = { ...all, devices: all.devices.slice(0, devices) }
  const services = stack.use(await startBackingServices({ ports, folders, environment, watchdog, report, signal }))
  const { api } = stack.use(
    await startPlatform({ root, options, folders, ports, services, data, watchdog, report, signal }),
  )
  const start = await ensureStartModel(api, options.model, options.seed)

  const series = new Map<string, Sample[]>()
  const note = (name: string, sample: Sample): void => {
    const known = series.get(name) ?? []
    series.set(name, known)
    known.push(sample)
  }
  const look = async (rounds: number): Promise<void> => {
    const sums = new Map<string, number>()
    for (const { name, bytes } of await memoryOfProcesses()) sums.set(name, (sums.get(name) ?? 0) + bytes)
    for (const [name, bytes] of sums) note(name, { rounds, bytes })
    for (const [index, port] of ports.nodeMetrics.slice(0, regions).entries()) {
      const heap = await heapOf(port, signal)
      if (heap !== undefined) note(`heap of node ${index + 1}`, { rounds, bytes: heap })
    }
  }

  const began = performance.now()
  const seconds = (): number => (performance.now() - began) / 1000
  let done = 0
  while (faults.length === 0 && (done < wantedRounds || seconds() < hours * 3600)) {
    const rounds = Math.min(roundsOfTask, Math.max(1, hours > 0 ? roundsOfTask : wantedRounds - done))
    const { id } = await createDemoTask(api, { ...options, rounds }, start)
    let committed = 0
    for (let movedAt = performance.now(); ; await delay(sampleMillis, undefined, { signal })) {
      const task = await api.call('getTask', { params: { task: id }, signal })
      if (task.rounds.committed > committed) movedAt = performance.now()
      committed = task.rounds.committed
      await look(done + committed)
      if (task.state === 'completed') break
      const isStuck = performance.now() - movedAt > stallSeconds * 1000
      if (isStuck || task.state === 'failed' || task.state === 'cancelled') {
        faults.push(`task ${id} is ${task.state} after ${committed} rounds: ${task.reason?.detail ?? 'nothing moves'}`)
        break
      }
    }
    done += committed
    tell(`${done} rounds, ${seconds().toFixed(0)} s`)
  }
  return { series, rounds: done, seconds: seconds(), faults }
}

const heapOf = async (port: number, signal: AbortSignal): Promise<number | undefined> => {
  const text = await fetch(`http://127.0.0.1:${port}/metrics`, { signal }).then(
    answer => answer.text(),
    () => '',
  )
  const [, bytes] = /^nodejs_heap_size_used_bytes (\d+)$/m.exec(text) ?? []
  return bytes === undefined ? undefined : Number(bytes)
}
