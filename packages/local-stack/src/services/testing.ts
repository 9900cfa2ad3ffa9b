import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { startWatchdog } from '../processes/watchdog.ts'
import { readStackEnvironment } from '../settings/config.ts'
import { prepareFolders } from '../settings/folders.ts'
import { type StackPorts, stackPorts } from '../settings/ports.ts'
import { readOrCreateCredentials } from './credentials.ts'
import type { ServiceContext } from './service-context.ts'
import type { ServiceReport } from './service-report.ts'

/** A context for integration tests: free ports, a folder of its own that is removed at the end, the user's own cache. */
export async function testContext(): Promise<ServiceContext & AsyncDisposable & { reports: ServiceReport[] }> {
  const folder = await mkdtemp('/var/tmp/tributary-test-')
  const environment = { ...readStackEnvironment(), stateDir: join(folder, 'state') }
  await chmod(folder, 0o711)
  await mkdir(join(folder, 'clone'))
  const folders = await prepareFolders(join(folder, 'clone'), undefined, environment)
  const watchdog = await startWatchdog()
  const ending = new AbortController()
  const reports: ServiceReport[] = []
  return {
    ports: await freePorts(),
    folders,
    environment,
    credentials: await readOrCreateCredentials(folders.state),
    watchdog,
    reports,
    report: report => reports.push(report),
    signal: ending.signal,
    async [Symbol.asyncDispose]() {
      ending.abort()
      await watchdog[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Ports that nothing listens on at this moment, one per service and two for one node. */
export async function freePorts(): Promise<StackPorts> {
  const defaults = stackPorts({ regions: 1 })
  const entries = Object.entries(defaults) as [keyof StackPorts, number | number[]][]
  const found = await Promise.all(
    entries.map(async ([key, value]) => [key, Array.isArray(value) ? [await freePort()] : await freePort()]),
  )
  return Object.fromEntries(found) as StackPorts
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}
