/** Which devices are meant: a device fits where every line fits; an empty line fits every device. */
export type Target = {
  /** Any of these. */
  readonly regions: readonly string[]
  /** Any of these. */
  readonly groups: readonly string[]
  /** All of these, with these values. */
  readonly labels: Readonly<Record<string, string>>
}

export type TargetedDevice = {
  readonly region: string
  readonly groups: readonly string[]
  readonly labels: Readonly<Record<string, string>>
}

/** Whether a device is meant. */
export const fitsTarget = ({ regions, groups, labels }: Target, device: TargetedDevice): boolean =>
  (regions.length === 0 || regions.includes(device.region)) &&
  (groups.length === 0 || groups.some(group => device.groups.includes(group))) &&
  Object.entries(labels).every(([key, value]) => Object.hasOwn(device.labels, key) && device.labels[key] === value)

/**
 * Whether some device could fit both. Groups never tell two targets apart, since a device may be in several; a region and the value of a
 * label do.
 */
export const targetsOverlap = (a: Target, b: Target): boolean =>
  (a.regions.length === 0 || b.regions.length === 0 || a.regions.some(region => b.regions.includes(region))) &&
  Object.entries(a.labels).every(([key, value]) => !Object.hasOwn(b.labels, key) || b.labels[key] === value)

/** Whether every device that fits `part` fits `whole` for certain. */
export const targetCovers = (whole: Target, part: Target): boolean =>
  coversList(whole.regions, part.regions) &&
  coversList(whole.groups, part.groups) &&
  Object.entries(whole.labels).every(([key, value]) => Object.hasOwn(part.labels, key) && part.labels[key] === value)

const coversList = (whole: readonly string[], part: readonly string[]): boolean =>
  whole.length === 0 || (part.length > 0 && part.every(item => whole.includes(item)))
