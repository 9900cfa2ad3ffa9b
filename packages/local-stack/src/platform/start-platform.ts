import { join } from 'node:path'
import type { OwnedProcess } from '../processes/owned-process.ts'
import { timed } from '../services/timed.ts'
import { ApiClient } from './api-client.ts'
import { type ApiTokens, ensureApiTokens } from './api-tokens.ts'
import { startControlPlane } from './control-plane.ts'
import { agentEnvironment, nodeEnvironment, stateFolders } from './environments.ts'
import { ensureDevices, ensureNode, ensureRegions, forEachParallel, planFleet, regionName } from './fleet.ts'
import { spawnBundle } from './own-process.ts'
import type { PlatformSetting } from './platform-setting.ts'
import { untilOnline } from './until-online.ts'

/** Every part of Tributary as processes of its own, ready to work. */
export type Platform = AsyncDisposable & {
  readonly api: ApiClient
  readonly apiUrl: string
  readonly tokens: ApiTokens
}

/** Starts control plane, regional nodes, agents and the evaluator. */
export const startPlatform = async (setting: PlatformSetting): Promise<Platform> => {
  const { root, options, folders, ports, services, data, report, signal } = setting
  await using stack = new AsyncDisposableStack()
  const places = stateFolders(folders.state)
  const processSetting = { logs: folders.logs, report, watchdog: setting.watchdog, signal }

  const tokens = await ensureApiTokens(folders.state)
  const apiUrl = `http://127.0.0.1:${ports.api}`
  stack.use(
    await timed(report, 'control plane', `API on port ${ports.api}`, () => startControlPlane({ ...setting, tokens })),
  )
  const api = new ApiClient(apiUrl, tokens.admin)

  const fleet = planFleet(options.devices, options.regions)
  const identities = await timed(
    report,
    'fleet',
    `${options.regions} regions, ${fleet.length} devices registered`,
    async () => {
      await ensureRegions(api, options.regions)
      const [nodes, devices] = await Promise.all([
        Promise.all(
          Array.from({ length: options.regions }, (_, index) =>
            ensureNode(api, places.node(regionName(index)), regionName(index)),
          ),
        ),
        ensureDevices(api, join(folders.state, 'devices'), fleet),
      ])
      return { nodes, devices }
    },
  )

  const running: OwnedProcess[] = []
  // Agents and nodes end together: none of them needs the other to end well.
  stack.defer(async () => {
    await Promise.allSettled(running.map(process => process.stop()))
  })

  await timed(report, 'regional nodes', `gRPC on port ${ports.nodeGrpc.join(', ')}`, () =>
    forEachParallel(identities.nodes, async (identity, index) => {
      const [grpcPort, httpPort] = [ports.nodeGrpc[index], ports.nodeMetrics[index]]
      if (grpcPort === undefined || httpPort === undefined) throw new RangeError(`no port for node ${index}`)
      const region = regionName(index)
      running.push(
        await spawnBundle(
          {
            name: `node ${region}`,
            file: join(root, 'regional-node', 'dist', 'main.mjs'),
            args: ['--enable-source-maps', '--max-semi-space-size=4'],
            env: nodeEnvironment(services, identity, {
              apiUrl,
              grpcPort,
              httpPort,
              dataFolder: join(places.node(region), 'data'),
            }),
            ready: {
              check: async check => (await fetch(`http://127.0.0.1:${httpPort}/healthz`, { signal: check })).ok,
            },
          },
          processSetting,
        ),
      )
    }),
  )

  await timed(report, 'agents', `${options.devices} trainers, 1 evaluator`, () =>
    forEachParallel(fleet, async (device, index) => {
      const identity = identities.devices.get(device.label)
      const regionIndex = Number(device.region.split('-')[1]) - 1
      const dataFolder = device.kind === 'evaluator' ? data.evaluator : data.devices[index]
      if (identity === undefined || dataFolder === undefined) throw new RangeError(`no identity for ${device.label}`)
      running.push(
        await spawnBundle(
          {
            name: `agent ${device.label}`,
            // Without source maps, as on a device: reading them takes 40 MB in every agent.
            file: join(root, 'edge-agent', 'dist', 'main.mjs'),
            args: setting.agentArgs?.(device.label) ?? [],
            env: agentEnvironment(services, identity, {
              apiUrl,
              nodeEndpoints: [ports.nodeGrpc[regionIndex], ...(setting.morePorts?.(regionIndex) ?? [])].map(
                port => `localhost:${port}`,
              ),
              dataFolder,
              stateFolder: join(places.device(device.label), 'state'),
              inferencePort: ports.agentInference[index],
            }),
            ready: { line: /"msg":"agent started"/ },
          },
          processSetting,
        ),
      )
    }),
  )

  const regions = Array.from({ length: options.regions }, (_, index) => regionName(index))
  await timed(
    report,
    'federation',
    online => `${online} of ${fleet.length} devices online`,
    () => untilOnline(api, regions, fleet.length, signal),
  )

  const owned = stack.move()
  return { api, apiUrl, tokens, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
