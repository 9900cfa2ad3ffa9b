import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type OwnedProcess, spawnOwned } from '../processes/owned-process.ts'
import type { Readiness } from '../processes/ready.ts'
import type { ServiceContext } from './service-context.ts'

export interface NodeEntry {
  readonly name: string
  /** The entry, as a file beside the caller: `new URL('./x.main.ts', import.meta.url)`. */
  readonly entry: URL
  readonly env: Readonly<Record<string, string>>
  readonly ready: Readiness
  readonly logName: string
}

/** Starts one of our own service processes with this very Node; it is started again when it fails. */
export function spawnNodeEntry(entry: NodeEntry, context: ServiceContext): Promise<OwnedProcess> {
  return spawnOwned({
    name: entry.name,
    command: process.execPath,
    args: ['--max-old-space-size=256', fileURLToPath(entry.entry)],
    env: { ...entry.env, PATH: '/usr/bin:/bin', NODE_NO_WARNINGS: '1' },
    cwd: context.folders.state,
    logFile: join(context.folders.logs, `${entry.logName}.log`),
    ready: entry.ready,
    readyDeadlineSeconds: 20,
    graceSeconds: 3,
    restart: 'on-failure',
    watchdog: context.watchdog,
    signal: context.signal,
    onUnexpectedExit: (_, message) => context.report({ kind: 'ended', service: entry.name, message }),
  })
}
