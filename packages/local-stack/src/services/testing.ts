import { randomInt } from 'node:crypto'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startWatchdog } from '../processes/watchdog.ts'
import { findBusyPorts } from '../settings/busy-ports.ts'
import { readStackEnvironment } from '../settings/config.ts'
import { prepareFolders } from '../settings/folders.ts'
import { asHolder, createLock, lives, readLock, releaseLock, removeStaleLock } from '../settings/pid-lock.ts'
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
  const claimed = await claimPorts()
  const ending = new AbortController()
  const reports: ServiceReport[] = []
  return {
    ports: claimed.ports,
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
      await claimed[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/**
 * A block of ports for one context, outside the range from which the system takes ports for outgoing connections, and claimed
 * by a lock file, so that test files that run side by side never get the same.
 */
async function claimPorts(): Promise<AsyncDisposable & { ports: StackPorts }> {
  const own = await asHolder()
  for (;;) {
    const portBase = 10_000 + 100 * randomInt(220)
    const file = `/var/tmp/tributary-test-ports-${portBase}`
    if (!(await createLock(file, own))) {
      const found = await readLock(file)
      // A lock of another user cannot be removed; the next block will do.
      if (!found || !(await lives(found.holder))) await removeStaleLock(file, found).catch(() => undefined)
      continue
    }
    const ports = stackPorts({ portBase, regions: 1 })
    if ((await findBusyPorts(ports)).length === 0) return { ports, [Symbol.asyncDispose]: () => releaseLock(file) }
    await releaseLock(file)
  }
}
