import { frameworksOf, type RoundDescriptor } from '@tributary/contracts/round'
import { selectDevices } from '@tributary/learning/seeded/selection'
import type { KnownDevice } from '../devices/device-directory.ts'
import type { Capabilities } from '../devices/presence.ts'

/**
 * Whether a device that is online may take part: kind, groups, labels, conditions that hold now, one of the frameworks, enough examples of its
 * own, and the list of devices where the task has one.
 */
export const isEligible = (
  { cohort, trainer }: Pick<RoundDescriptor, 'cohort' | 'trainer'>,
  device: KnownDevice,
  capabilities: Capabilities | undefined,
): boolean => {
  if (capabilities === undefined || device.revoked || device.kind !== 'trainer') return false
  if (cohort.devices !== undefined && !cohort.devices.includes(device.device)) return false
  if (cohort.groups.length > 0 && !cohort.groups.some(group => device.groups.includes(group))) return false
  if (!Object.entries(cohort.labels ?? {}).every(([key, value]) => labelOf(device, key) === value)) return false
  if (!(cohort.conditions ?? []).every(condition => capabilities.conditions.has(condition))) return false
  if (!frameworksOf(trainer).some(framework => capabilities.frameworks.has(framework))) return false
  const dataset = capabilities.datasets.get(cohort.dataset)
  return dataset !== undefined && !dataset.heldOut && dataset.examples >= cohort.minimumExamples
}

/** Own members only: a key may be called as one that every object has. */
const labelOf = ({ labels = {} }: KnownDevice, key: string): string | undefined =>
  Object.hasOwn(labels, key) ? labels[key] : undefined

/** The first devices of a cohort: seeded, the same for the same candidates in any order. */
export const selectCohort = (
  { taskSeed, round, attempt }: Pick<RoundDescriptor, 'taskSeed' | 'round' | 'attempt'>,
  candidates: Iterable<KnownDevice>,
  count: number,
): KnownDevice[] => selectDevices(candidates, count, { taskSeed, round, attempt }, ({ label }) => label)
