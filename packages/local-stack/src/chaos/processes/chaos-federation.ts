import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Database } from '@tributary/functions/database/database'
import { createLog } from '@tributary/functions/log'
import { startFaultyStorage } from '@tributary/functions/testing/faulty-storage'
import { TcpProxy } from '@tributary/regional-node/testing/tcp-proxy'
import { ensureDeviceData } from '../../demo/device-data.ts'
import type { ApiClient } from '../../platform/api-client.ts'
import { ensureBuilds } from '../../platform/builds.ts'
import { nodeEnvironment } from '../../platform/environments.ts'
import { ensureNode, planFleet, regionName } from '../../platform/fleet.ts'
import { startPlatform } from '../../platform/start-platform.ts'
import { startWatchdog } from '../../processes/watchdog.ts'
import { startBackingServices } from '../../services/start-services.ts'
import { readStackEnvironment } from '../../settings/config.ts'
import { prepareFolders } from '../../settings/folders.ts'
import { stackPorts } from '../../settings/ports.ts'
import { lockState } from '../../settings/state-lock.ts'
import { parseStartOptions, type StartOptions } from '../../start/options.ts'
import { processTree } from '../../testing/processes.ts'
import { type ShiftedClock, shiftedClock } from '../../testing/shifted-clock.ts'
import { ChaosNode, type ChaosNodeOptions } from './chaos-node.ts'
import { StoragePlan } from './storage-plan.ts'

const root = join(import.meta.dirname, '..', '..', '..', '..', '..')
/** Nodes of each region, and shards of each as well. */
const nodesOfRegion = [3, 2]
/** That train. */
export const chaosDevices = 6
/** Where a client waits for an answer that does not come. */
const silentMillis = 3000
const nodeProgram = 'regional-node/dist/main.mjs'
const agentProgram = 'edge-agent/dist/main.mjs'

/** What a node is connected by, each as good or bad as it is told to be. */
export type NodeLinks = {
  /** gRPC, by which agents reach the node. */
  readonly devices: TcpProxy
  /** AMQP. */
  readonly broker: TcpProxy
  /** HTTP. */
  readonly central: TcpProxy
}

/** Everything that faults can come upon. */
export type ChaosFederation = AsyncDisposable & {
  readonly options: StartOptions
  readonly api: ApiClient
  readonly database: Database
  readonly nodes: readonly ChaosNode[]
  /** Of each node. */
  readonly links: readonly NodeLinks[]
  /** Wall clocks of processes. */
  readonly clocks: { readonly nodes: readonly ShiftedClock[]; readonly agents: readonly ShiftedClock[] }
  readonly storage: StoragePlan
  /** Of the first process of each: it takes the others with it. */
  readonly pids: {
    readonly postgres: () => number[]
    readonly rabbit: () => number[]
    readonly agents: () => Promise<number[]>
  }
}

export type ChaosFederationOptions = {
  readonly portBase: number
  readonly rounds: number
  readonly nextFailpoint: ChaosNodeOptions['nextFailpoint']
  readonly onFailpoint: ChaosNodeOptions['onFailpoint']
}

/** Two regions, three nodes in the first and two in the second, six devices and an evaluator, all real processes. */
export const startChaosFederation = async (
  { portBase, rounds, nextFailpoint, onFailpoint }: ChaosFederationOptions,
  signal: AbortSignal,
): Promise<ChaosFederation> => {
  const regions = nodesOfRegion.length
  const line = [
    '--devices',
    String(chaosDevices),
    '--regions',
    String(regions),
    '--rounds',
    String(rounds),
    '--port-base',
    String(portBase),
  ]
  const options = parseStartOptions(line)
  const environment = readStackEnvironment()
  await using stack = new AsyncDisposableStack()
  const folders = await prepareFolders(root, portBase, environment)
  const watchdog = stack.use(await startWatchdog())
  stack.use(await lockState(folders.state, watchdog.pid))
  // The first node of each region has the port that the stack has told its agents.
  const places = Array.from({ length: Math.max(...nodesOfRegion) }, (_, index) =>
    nodesOfRegion.flatMap((count, region) =>
      index < count ? [{ region: regionName(region), name: nodeName(region, index) }] : [],
    ),
  ).flat()
  // Devices know the port of the link; the node behind it listens at another one.
  const { nodeGrpc, ...ports } = stackPorts({ portBase, regions: 2 * places.length })
  const [linkPorts, ownPorts] = [nodeGrpc.slice(0, places.length), nodeGrpc.slice(places.length)]
  const morePorts = (regionIndex: number): readonly number[] =>
    linkPorts.filter((_, index) => index >= regions && places[index]?.region === regionName(regionIndex))
  const report = () => undefined
  await ensureBuilds(root, signal)
  const data = await ensureDeviceData(join(folders.state, 'data'), options)
  const servicePorts = { ...ports, nodeGrpc: linkPorts }
  const place = { ports: servicePorts, folders, environment, watchdog, report, signal }
  const real = stack.use(await startBackingServices(place))
  const proxy = stack.use(await startFaultyStorage(Number(new URL(real.objectStorage.url).port), silentMillis))
  const storage = new StoragePlan()
  proxy.begin(storage.faultOf)
  const services = { ...real, objectStorage: { ...real.objectStorage, url: proxy.url } }
  const agentClocks = new Map(
    planFleet(chaosDevices, regions).map(({ label }) => [label, shiftedClock(join(folders.state, `clock-${label}`))]),
  )
  for (const clock of agentClocks.values()) await clock.shift(0)
  const agentArgs = (label: string): readonly string[] => agentClocks.get(label)?.args ?? []
  const platform = stack.use(await startPlatform({ ...place, root, options, services, data, morePorts, agentArgs }))
  const { api } = platform
  await endOwnNodes()
  for (const [region, count] of nodesOfRegion.entries())
    await api.call('updateRegion', { params: { region: regionName(region) }, body: { shardCount: count } })

  const nodes: ChaosNode[] = []
  const links: NodeLinks[] = []
  const nodeClocks: ShiftedClock[] = []
  for (const [index, { region, name }] of places.entries()) {
    const folder = join(folders.state, 'nodes', name)
    const identity = await ensureNode(api, folder, region)
    const [grpcPort, httpPort] = [ownPorts[index] as number, ports.nodeMetrics[index] as number]
    const dataFolder = join(folder, 'data')
    const clock = shiftedClock(join(folder, 'clock'))
    await clock.shift(0)
    nodeClocks.push(clock)
    const link = {
      devices: stack.use(await TcpProxy.open(grpcPort, linkPorts[index])),
      broker: stack.use(await TcpProxy.open(Number(new URL(real.rabbit.url).port))),
      central: stack.use(await TcpProxy.open(ports.api)),
    }
    links.push(link)
    const apiUrl = by(link.central, platform.apiUrl)
    const setting = {
      name: `node ${name}`,
      command: process.execPath,
      args: [...clock.args, '--enable-source-maps', join(root, 'regional-node', 'dist', 'main.mjs')],
      // Folds often, so that the failpoints of folds are passed.
      env: {
        ...nodeEnvironment(services, identity, { apiUrl, grpcPort, httpPort, dataFolder }),
        AMQP_URL: by(link.broker, real.rabbit.url),
        GRPC_ENDPOINT: `localhost:${link.devices.port}`,
        FOLD_UPDATES: '1',
        NODE_NO_WARNINGS: '1',
      },
      logFile: join(folders.logs, `chaos-${name}.log`),
      ready: {
        check: async (check: AbortSignal) =>
          (await fetch(`http://127.0.0.1:${httpPort}/healthz`, { signal: check })).ok,
      },
      graceSeconds: 5,
      watchdog,
      signal,
    }
    const node = new ChaosNode({ setting, id: identity.id, region, dataFolder, nextFailpoint, onFailpoint })
    nodes.push(stack.use(node))
    await node.start()
  }
  const database = stack.use(new Database({ url: real.postgres.url, log: createLog('silent', 'chaos'), name: 'chaos' }))
  const owned = stack.move()
  return {
    options,
    api,
    database,
    nodes,
    links,
    clocks: { nodes: nodeClocks, agents: [...agentClocks.values()] },
    storage,
    pids: {
      postgres: () => real.postgres.processIds().slice(0, 1),
      rabbit: () => real.rabbit.processIds().slice(0, 1),
      agents: () => pidsOf(agentProgram),
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** The first node of a region is the one that the stack has registered there. */
const nodeName = (region: number, index: number): string =>
  index === 0 ? regionName(region) : `${regionName(region)}-${index + 1}`

/** The same address, reached by a link. */
const by = ({ port }: TcpProxy, address: string): string => address.replace(/:\d+(?=\/|$)/, `:${port}`)

/** The stack's own nodes make way: SIGTERM drains them, and what ends well is not started again. */
const endOwnNodes = async (): Promise<void> => {
  for (const pid of await pidsOf(nodeProgram)) process.kill(pid, 'SIGTERM')
  await until('the nodes of the stack end', 20, async () => (await pidsOf(nodeProgram)).length === 0)
}

const pidsOf = async (program: string): Promise<number[]> =>
  (await processTree(process.pid)).filter(({ command }) => command.includes(program)).map(({ pid }) => pid)

/** Waits for something to come true. Rejects after so many seconds. */
export const until = async (what: string, seconds: number, probe: () => Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + seconds * 1000
  while (!(await probe())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s`)
    await delay(100)
  }
}
