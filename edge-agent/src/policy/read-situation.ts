import { availableParallelism } from 'node:os'
import { isOnMains, meanLoad } from '../agent/device/device-conditions.ts'
import type { DayBytes } from './byte-meter.ts'
import type { Situation } from './decide.ts'

export type SituationSources = {
  readonly metered: boolean
  readonly bytesToday: DayBytes
  /** Jobs of the agent itself, each of which keeps one processor busy. */
  readonly ownJobs: number
  /** As Linux shows batteries and mains. @default /sys/class/power_supply */
  readonly powerSupplies?: string
  /** Mean number of runnable processes over the last minute. @default os.loadavg */
  readonly load?: () => number | undefined
  readonly processors?: number
}

/** How things are on the device, for the owner's policy. */
export const readSituation = async ({
  metered,
  bytesToday,
  ownJobs,
  powerSupplies = '/sys/class/power_supply',
  load = meanLoad,
  processors = availableParallelism(),
}: SituationSources): Promise<Situation> => {
  const busy = load()
  const isMains = await isOnMains(powerSupplies)
  return {
    now: new Date(),
    onBattery: isMains === undefined ? undefined : !isMains,
    metered,
    load: busy === undefined ? undefined : Math.max(0, busy - ownJobs) / processors,
    bytesToday,
  }
}
