import { readdir, readFile } from 'node:fs/promises'
import { availableParallelism, loadavg, platform } from 'node:os'
import { join } from 'node:path'
import type { DeviceCondition } from '@tributary/contracts/round'

export type ConditionSources = {
  /** What the owner says of the network; nothing on the machine knows it for sure. */
  readonly metered: boolean
  /** As Linux shows batteries and mains. @default /sys/class/power_supply */
  readonly powerSupplies?: string
  /** Mean number of runnable processes over the last minute; undefined where the system does not count it. @default os.loadavg */
  readonly load?: () => number | undefined
  readonly processors?: number
}

/** Idle: on average less than this share of the processors was busy in the last minute. */
const idleShare = 0.5
/** No machine has so many; files beyond are not read. */
const mostSupplies = 64

/**
 * Which of the conditions that tasks may ask for hold now. One that cannot be known is not claimed: a device then takes no part in
 * tasks that ask for it.
 */
export const readConditions = async ({
  metered,
  powerSupplies = '/sys/class/power_supply',
  load = meanLoad,
  processors = availableParallelism(),
}: ConditionSources): Promise<DeviceCondition[]> => {
  const conditions: DeviceCondition[] = []
  const busy = load()
  // The agent's own training counts as work: a device that trains is asked for no more.
  if (busy !== undefined && busy / processors < idleShare) conditions.push('idle')
  if ((await isOnMains(powerSupplies)) === true) conditions.push('charging')
  if (!metered) conditions.push('unmetered')
  return conditions
}

/** Windows has none, and Node says 0 there. */
export const meanLoad = (): number | undefined => (platform() === 'win32' ? undefined : loadavg()[0])

type Supply = { readonly type: string; readonly online: string; readonly status: string; readonly scope: string }

/**
 * Whether the machine draws on the mains: a supply says so, a battery is charging or full, or there is no battery to draw on. Batteries
 * of mice and the like (`scope` Device) do not count; undefined where the system shows none of it. Linux, Documentation/ABI/testing/sysfs-class-power.
 */
export const isOnMains = async (folder: string): Promise<boolean | undefined> => {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch {
    return undefined
  }
  const supplies = await Promise.all(names.slice(0, mostSupplies).map(name => readSupply(join(folder, name))))
  const own = supplies.filter(({ scope }) => scope !== 'Device')
  const batteries = own.filter(({ type }) => type === 'Battery')
  if (own.some(({ type, online }) => type !== 'Battery' && online === '1')) return true
  return batteries.every(({ status }) => status === 'Charging' || status === 'Full')
}

const readSupply = async (folder: string): Promise<Supply> => {
  const [type, online, status, scope] = await Promise.all(
    ['type', 'online', 'status', 'scope'].map(name =>
      readFile(join(folder, name), 'utf8').then(
        text => text.trim(),
        () => '',
      ),
    ),
  )
  return { type: type ?? '', online: online ?? '', status: status ?? '', scope: scope ?? '' }
}
