import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiClient } from '../platform/api-client.ts'
import { type ApiTokens, ensureApiTokens } from '../platform/api-tokens.ts'
import { ensureBuilds } from '../platform/builds.ts'
import { startControlPlane } from '../platform/control-plane.ts'
import { type BackingServices, startBackingServices } from '../services/start-services.ts'
import { testContext } from '../services/testing.ts'

const root = join(import.meta.dirname, '..', '..', '..', '..')

/** The control plane as it is deployed, behind the local API, on services of its own. */
export type ControlPlaneRun = AsyncDisposable & {
  readonly url: string
  readonly tokens: ApiTokens
  /** As an administrator. */
  readonly api: ApiClient
  readonly services: BackingServices
  /** A folder that goes with it. */
  readonly folder: string
  /** What the functions wrote. */
  readonly logs: string
}

/** Bundles the functions where needed, and starts all services and the functions on free ports. */
export const startControlPlaneRun = async (): Promise<ControlPlaneRun> => {
  await using stack = new AsyncDisposableStack()
  const context = stack.use(await testContext())
  const { ports, folders, environment, watchdog, report, signal } = context
  await ensureBuilds(root, signal)
  const services = stack.use(await startBackingServices({ ports, folders, environment, watchdog, report, signal }))
  // A copy: what is built while it runs is another version.
  const bundles = join(folders.state, 'bundles')
  await cp(join(root, 'functions', 'dist'), bundles, { recursive: true })
  const tokens = await ensureApiTokens(folders.state)
  stack.use(await startControlPlane({ folders, ports, services, watchdog, report, signal, root, tokens, bundles }))
  const url = `http://127.0.0.1:${ports.api}`
  const folder = join(folders.state, 'test')
  await mkdir(folder, { recursive: true })
  const owned = stack.move()
  return {
    url,
    tokens,
    api: new ApiClient(url, tokens.admin),
    services,
    folder,
    logs: join(folders.logs, 'functions'),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
