import type { Watchdog } from '../processes/watchdog.ts'
import type { StackEnvironment } from '../settings/config.ts'
import type { StackFolders } from '../settings/folders.ts'
import type { StackPorts } from '../settings/ports.ts'
import type { Credentials } from './credentials.ts'
import type { Report } from './service-report.ts'

/** What every backing service gets in order to start. */
export interface ServiceContext {
  readonly ports: StackPorts
  readonly folders: StackFolders
  readonly environment: StackEnvironment
  readonly credentials: Credentials
  readonly watchdog: Watchdog
  readonly report: Report
  readonly signal: AbortSignal
}
