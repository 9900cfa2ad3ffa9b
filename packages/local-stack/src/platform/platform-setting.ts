import type { DeviceData } from '../demo/device-data.ts'
import type { Watchdog } from '../processes/watchdog.ts'
import type { Report } from '../services/service-report.ts'
import type { BackingServices } from '../services/start-services.ts'
import type { StackFolders } from '../settings/folders.ts'
import type { StackPorts } from '../settings/ports.ts'
import type { StartOptions } from '../start/options.ts'

/** What the parts of Tributary need in order to start. */
export type PlatformSetting = {
  readonly root: string
  readonly options: StartOptions
  readonly folders: StackFolders
  readonly ports: StackPorts
  readonly services: BackingServices
  readonly data: DeviceData
  /** Ports of further nodes of a region, which devices try when the first does not answer. @default none */
  readonly morePorts?: (regionIndex: number) => readonly number[]
  /** Options of Node for the agent of a device. @default none */
  readonly agentArgs?: (label: string) => readonly string[]
  readonly watchdog: Watchdog
  readonly report: Report
  readonly signal: AbortSignal
}
