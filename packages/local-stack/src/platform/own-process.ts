import { join } from 'node:path'
import { type OwnedProcess, spawnOwned } from '../processes/owned-process.ts'
import type { Readiness } from '../processes/ready.ts'
import type { Watchdog } from '../processes/watchdog.ts'
import type { Report } from '../services/service-report.ts'

export type ProcessSetting = {
  readonly logs: string
  readonly report: Report
  readonly watchdog: Watchdog
  readonly signal: AbortSignal
}

/** A bundle of ours as a process that is started again when it fails, as an orchestrator or systemd would. */
export const spawnBundle = (
  bundle: {
    name: string
    file: string
    env: Readonly<Record<string, string>>
    ready: Readiness
    /** Options of Node. */
    args?: readonly string[]
  },
  { logs, report, watchdog, signal }: ProcessSetting,
): Promise<OwnedProcess> =>
  spawnOwned({
    name: bundle.name,
    command: process.execPath,
    args: [...(bundle.args ?? []), bundle.file],
    env: { ...bundle.env, NODE_NO_WARNINGS: '1' },
    logFile: join(logs, `${bundle.name.replaceAll(' ', '-')}.log`),
    ready: bundle.ready,
    graceSeconds: 5,
    restart: 'on-failure',
    watchdog,
    signal,
    onUnexpectedExit: (exit, message) => {
      if (!signal.aborted) {
        const how = exit.signal === null ? `exit code ${exit.code}` : exit.signal
        report({
          kind: 'ended',
          service: bundle.name,
          message: exit.signal === null ? message : `${bundle.name} ended with ${how}; started again`,
        })
      }
    },
  })
