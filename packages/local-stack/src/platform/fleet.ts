import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DeviceView } from '@tributary/contracts/fleet'
import { type ApiClient, ApiRefusedError } from './api-client.ts'
import { enrol, type Identity, readIdentity } from './identity.ts'

/** A device of the local federation. */
export type FleetDevice = { readonly label: string; readonly region: string; readonly kind: 'trainer' | 'evaluator' }

export const regionName = (index: number): string => `region-${index + 1}`

/** Devices are dealt to the regions in turn; the evaluator lives in the first. Labels do not depend on the regions. */
export const planFleet = (devices: number, regions: number): readonly FleetDevice[] => [
  ...Array.from({ length: devices }, (_, index) => ({
    label: `device-${index + 1}`,
    region: regionName(index % regions),
    kind: 'trainer' as const,
  })),
  { label: 'evaluator-1', region: regionName(0), kind: 'evaluator' },
]

const parallel = 8

/**
 * Runs an action for each item, at most eight at once. After a failure no other is begun, and those under way have ended when
 * it throws: what they started is known to whoever stops it.
 */
export const forEachParallel = async <Item>(
  items: readonly Item[],
  action: (item: Item, index: number) => Promise<void>,
): Promise<void> => {
  let next = 0
  let hasFailed = false
  const lane = async (): Promise<void> => {
    for (let index = next++; index < items.length && !hasFailed; index = next++) {
      try {
        await action(items[index] as Item, index)
      } catch (error) {
        hasFailed = true
        throw error
      }
    }
  }
  const lanes = Array.from({ length: Math.min(parallel, items.length) }, lane)
  await Promise.allSettled(lanes)
  await Promise.all(lanes)
}

/** Registers the regions that are not there yet. */
export const ensureRegions = async (api: ApiClient, count: number): Promise<void> => {
  const known = new Set<string>()
  for await (const region of api.pages('listRegions')) known.add(region.region)
  for (let index = 0; index < count; index += 1) {
    const region = regionName(index)
    if (!known.has(region)) await api.call('createRegion', { body: { region, name: `Region ${index + 1}` } })
  }
}

/** The node's identity from an earlier start, or a new one signed by central. */
export const ensureNode = async (api: ApiClient, folder: string, region: string): Promise<Identity> => {
  const kept = await readIdentity(folder)
  if (kept !== undefined) return kept
  // Names of nodes are unique in a region and a lost key is a lost node, so each registration has a name of its own.
  const name = `node-${Date.now().toString(36)}`
  return enrol(folder, csr =>
    api.call('registerNode', { body: { region, name, csr, hostnames: ['localhost', '127.0.0.1'] } }),
  )
}

/**
 * Brings the registered devices in line with the plan: devices that are not planned, or planned for another region, are
 * revoked; missing ones are registered. Identities live in one folder a label.
 */
export const ensureDevices = async (
  api: ApiClient,
  folder: string,
  plan: readonly FleetDevice[],
): Promise<ReadonlyMap<string, Identity>> => {
  const wanted = new Map(plan.map(device => [device.label, device]))
  const identities = new Map<string, Identity>()
  const superfluous: DeviceView[] = []
  for await (const device of api.pages('listDevices')) {
    if (device.revoked) continue
    const planned = wanted.get(device.label)
    const kept = planned === undefined ? undefined : await readIdentity(join(folder, device.label))
    const isSame = planned?.region === device.region && planned.kind === device.kind && kept?.id === device.id
    if (isSame && kept !== undefined) identities.set(device.label, kept)
    else superfluous.push(device)
  }
  await forEachParallel(superfluous, async device => {
    await api.call('revokeDevice', { params: { device: device.id } }).catch(ignoreGone)
    await rm(join(folder, device.label), { recursive: true, force: true })
  })
  const missing = plan.filter(device => !identities.has(device.label))
  await forEachParallel(missing, async ({ label, region, kind }) => {
    const identity = await enrol(join(folder, label), csr =>
      api.call('registerDevice', { body: { label, region, kind, csr } }),
    )
    identities.set(label, identity)
  })
  return identities
}

const ignoreGone = (error: unknown): void => {
  if (!(error instanceof ApiRefusedError && error.status === 404)) throw error
}
