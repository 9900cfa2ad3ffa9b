import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { TaskDetail } from '@tributary/contracts/tasks'
import { Database } from '@tributary/functions/database/database'
import { createLog } from '@tributary/functions/log'
import { brokenInvariants } from '@tributary/functions/testing/check-invariants'
import { failpoints } from '@tributary/regional-node/log/failpoint'
import { ensureDeviceData } from '../../demo/device-data.ts'
import { createDemoTask } from '../../demo/run-task.ts'
import { ensureStartModel } from '../../demo/start-model.ts'
import type { ApiClient } from '../../platform/api-client.ts'
import { ensureBuilds } from '../../platform/builds.ts'
import { nodeEnvironment } from '../../platform/environments.ts'
import { ensureNode, regionName } from '../../platform/fleet.ts'
import { startPlatform } from '../../platform/start-platform.ts'
import { startWatchdog } from '../../processes/watchdog.ts'
import { startBackingServices } from '../../services/start-services.ts'
import { readStackEnvironment } from '../../settings/config.ts'
import { prepareFolders } from '../../settings/folders.ts'
import { stackPorts } from '../../settings/ports.ts'
import { lockState } from '../../settings/state-lock.ts'
import { parseStartOptions } from '../../start/options.ts'
import { processTree } from '../../testing/processes.ts'
import { Draw } from '../explorer/draw.ts'
import { ChaosNode } from './chaos-node.ts'
import { FaultTable } from './fault-table.ts'
import { startFaultyStorage } from './storage-faults.ts'

const root = join(import.meta.dirname, '..', '..', '..', '..', '..')
const regions = 2
/** Past the lease of 20 s, so that another node takes the shards. */
const freezeSeconds = 24
const taskSeconds = 400
/** Longer than any fault: a device that was cut off still belongs to the round, so that the bytes can be compared. */
const deadlines = { selectionSeconds: 20, roundSeconds: 300 }
const finalStates: readonly string[] = ['completed', 'failed', 'cancelled']

export type ChaosOptions = {
  readonly seconds: number
  readonly seed: number
  readonly portBase: number
  readonly rounds: number
  /** Goes on past its time until each kind of fault came so often. */
  readonly least: Readonly<Record<string, number>>
}
export type ChaosResult = {
  readonly tasks: number
  readonly violations: readonly string[]
  readonly table: FaultTable
  readonly storageFaults: number
}

/** A node that central knows, taken over from the stack or added to it. */
type Place = { readonly region: string; readonly folder: string; readonly grpcPort: number; readonly httpPort: number }

/**
 * Runs the same task again and again on real processes while faults drawn from a seed come upon them. When a fault meets which
 * instant is up to the machine: a seed repeats the draw, not the history.
 */
export const runChaos = async (
  { seconds, seed, portBase, rounds, least }: ChaosOptions,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<ChaosResult> => {
  const draw = new Draw(seed)
  const table = new FaultTable()
  const violations: string[] = []
  const arguments_ = ['--devices', '6', '--regions', String(regions), '--rounds', String(rounds), '--port-base']
  const options = parseStartOptions([...arguments_, String(portBase)])
  const environment = readStackEnvironment()
  await using stack = new AsyncDisposableStack()
  const folders = await prepareFolders(root, portBase, environment)
  const watchdog = stack.use(await startWatchdog())
  stack.use(await lockState(folders.state, watchdog.pid))
  const ports = stackPorts({ portBase, regions: regions + 1 })
  const report = () => undefined
  await ensureBuilds(root, signal)
  const data = await ensureDeviceData(join(folders.state, 'data'), options)
  const real = stack.use(await startBackingServices({ ports, folders, environment, watchdog, report, signal }))
  let storageFaultRate = 0
  const storage = stack.use(
    await startFaultyStorage(real.objectStorage.url, () =>
      draw.chance(storageFaultRate) ? (draw.oneOf([500, 503, 'cut', 'silence'] as const) ?? null) : null,
    ),
  )
  const services = { ...real, objectStorage: { ...real.objectStorage, url: storage.url } }
  const platform = stack.use(
    await startPlatform({ root, options, folders, ports, services, data, watchdog, report, signal }),
  )
  const { api } = platform

  let state = 'none'
  let kills = 0
  const places: Place[] = [0, 1, 2].map(index => {
    const region = regionName(index % regions)
    const name = index < regions ? region : `${region}-second`
    const [grpcPort, httpPort] = [ports.nodeGrpc[index] as number, ports.nodeMetrics[index] as number]
    return { region, folder: join(folders.state, 'nodes', name), grpcPort, httpPort }
  })
  // The stack's own nodes make way: SIGTERM drains them, and what ends well is not started again.
  for (const { pid, command } of await processTree(process.pid))
    if (command.includes('regional-node/dist/main.mjs')) process.kill(pid, 'SIGTERM')
  await until('the nodes of the stack end', 20, async () =>
    (await processTree(process.pid)).every(({ command }) => !command.includes('regional-node/dist/main.mjs')),
  )
  const nodes: ChaosNode[] = []
  for (const { region, folder, grpcPort, httpPort } of places) {
    const identity = await ensureNode(api, folder, region)
    const more = { apiUrl: platform.apiUrl, grpcPort, httpPort, dataFolder: join(folder, 'data') }
    const setting = {
      name: `node ${folder.split('/').at(-1)}`,
      command: process.execPath,
      args: ['--enable-source-maps', join(root, 'regional-node', 'dist', 'main.mjs')],
      // Folds often, so that the failpoints of folds are passed.
      env: { ...nodeEnvironment(services, identity, more), FOLD_UPDATES: '1', NODE_NO_WARNINGS: '1' },
      logFile: join(folders.logs, `chaos-${folder.split('/').at(-1)}.log`),
      ready: {
        check: async (check: AbortSignal) =>
          (await fetch(`http://127.0.0.1:${httpPort}/healthz`, { signal: check })).ok,
      },
      graceSeconds: 5,
      watchdog,
      signal,
    }
    const node = new ChaosNode(
      setting,
      () => {
        if (kills === 0) return null
        kills -= 1
        return `${draw.oneOf(failpoints)}:${draw.between(1, 2)}`
      },
      failpoint => {
        if (failpoint !== null) table.count(`node dies at ${failpoint.split(':')[0]}`, state)
      },
    )
    nodes.push(stack.use(node))
    await node.start()
  }

  const start = await ensureStartModel(api, options.model, options.seed)
  const example = await createDemoTask(api, options, start)
  const { settings } = await untilFinal(api, example.id, () => {})
  const run = async (disturb: (task: string) => Promise<void>): Promise<TaskDetail> => {
    const { id } = await api.call('createTask', { body: { ...settings, deadlines } as never })
    const disturbing = disturb(id)
    const detail = await untilFinal(api, id, found => {
      state = found.history.at(-1)?.state ?? 'none'
    })
    kills = 0
    storageFaultRate = 0
    await disturbing
    return detail
  }
  const shaOf = ({ history }: TaskDetail): string | null | undefined =>
    history.filter(round => round.state === 'committed').at(-1)?.modelSha256
  const undisturbed = await run(async () => {})
  const expected = shaOf(undisturbed)
  tell(`undisturbed: ${undisturbed.state}, ${expected}`)
  if (undisturbed.state !== 'completed') violations.push(`the undisturbed task is ${undisturbed.state}`)

  await using database = new Database({ url: real.postgres.url, log: createLog('silent', 'chaos'), name: 'chaos' })
  const pidsOf = async (what: string): Promise<number[]> =>
    (await processTree(process.pid)).filter(({ command }) => command.includes(what)).map(({ pid }) => pid)
  const strike: Readonly<Record<string, () => Promise<void>>> = {
    'node killed': async () => draw.oneOf(nodes.filter(({ isUp }) => isUp))?.kill(),
    'agents killed': async () => {
      const agents = await pidsOf('edge-agent/dist/main.mjs')
      for (const pid of agents.filter(() => draw.chance(0.4))) process.kill(pid, 'SIGKILL')
    },
    'node stopped past its lease': async () => draw.oneOf(nodes.slice(0, 1))?.freeze(freezeSeconds),
    'database killed': async () => {
      for (const pid of real.postgres.processIds().slice(0, 1)) process.kill(pid, 'SIGKILL')
    },
    'broker killed': async () => {
      for (const pid of real.rabbit.processIds().slice(0, 1)) process.kill(pid, 'SIGKILL')
    },
    'storage faults': async () => {
      storageFaultRate = 0.15
      await delay(4000)
      storageFaultRate = 0
    },
    'failpoints armed': async () => {
      kills = 4
      for (const node of nodes) node.kill()
    },
  }
  const kinds = Object.keys(strike)
  const began = performance.now()
  const missing = (): string | undefined =>
    kinds.find(kind => table.total(kind) < (least[kind] ?? 0)) ??
    (table.total('node dies at') < (least['node dies at'] ?? 0) ? 'failpoints armed' : undefined)
  let tasks = 0
  while (violations.length === 0 && !signal.aborted) {
    const wanted = missing()
    if (performance.now() - began > seconds * 1000 && wanted === undefined) break
    tasks += 1
    const drawn = [wanted ?? draw.oneOf(kinds), draw.oneOf(kinds)].filter(kind => kind !== undefined)
    tell(`task ${tasks}: ${drawn.join(', ')}`)
    const detail = await run(async task => {
      for (const kind of drawn) {
        await delay(draw.between(0, 1500))
        if (finalStates.includes(await stateOf(api, task))) return
        table.count(kind, state)
        await strike[kind]?.()
      }
    }).catch((error: Error) => error)
    if (detail instanceof Error) violations.push(`task ${tasks}: ${detail.message}`)
    else if (detail.state !== 'completed')
      violations.push(`task ${detail.id} is ${detail.state}: ${detail.reason?.detail}`)
    else if (shaOf(detail) !== expected) {
      const accepted = detail.history.map(
        ({ round, attempt, state, accepted }) => `${round}/${attempt} ${state} ${accepted}`,
      )
      violations.push(`task ${detail.id} ends with ${shaOf(detail)}; updates by attempt: ${accepted.join(', ')}`)
    }
    violations.push(...(await database.read(sql => brokenInvariants(sql))))
  }
  return { tasks, violations, table, storageFaults: storage.failed }
}

const stateOf = (api: ApiClient, task: string): Promise<string> =>
  api.call('getTask', { params: { task } }).then(
    ({ state }) => state,
    () => 'unknown',
  )

/** Follows a task through whatever becomes of the API meanwhile. */
const untilFinal = async (api: ApiClient, task: string, seen: (detail: TaskDetail) => void): Promise<TaskDetail> => {
  const deadline = Date.now() + taskSeconds * 1000
  while (Date.now() < deadline) {
    const detail = await api.call('getTask', { params: { task } }).catch(() => undefined)
    if (detail !== undefined) seen(detail)
    if (detail !== undefined && finalStates.includes(detail.state)) return detail
    await delay(100)
  }
  throw new Error(`task ${task} is not final after ${taskSeconds} s`)
}

const until = async (what: string, seconds: number, probe: () => Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + seconds * 1000
  while (!(await probe())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s`)
    await delay(100)
  }
}
