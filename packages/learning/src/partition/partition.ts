import { SeededRandom } from '../seeded/random.ts'
import { deriveSeed } from '../seeded/seed.ts'
import { cutEvenly } from './cut-evenly.ts'
import { dirichletSplit } from './dirichlet.ts'
import { labelShards } from './label-shards.ts'

/** How a labelled data set is divided among devices. */
export type Split = { kind: 'iid' } | { kind: 'shards' } | { kind: 'dirichlet'; alpha: number }

/**
 * Reads `iid`, `shards` or `dirichlet:ALPHA`.
 * @returns `null` when the text is none of them
 */
export function parseSplit(text: string): Split | null {
  if (text === 'iid' || text === 'shards') return { kind: text }
  const alpha = /^dirichlet:(\d+(?:\.\d+)?)$/.exec(text)?.[1]
  if (alpha === undefined || !(Number(alpha) > 0 && Number(alpha) <= 1e6)) return null
  return { kind: 'dirichlet', alpha: Number(alpha) }
}

/**
 * Divides examples over devices; each is used once and no device stays empty.
 * @param labels class index of each example
 * @param seed of the division; the same seed gives the same one
 * @returns for each device the indices of its examples
 * @throws RangeError when there are fewer examples than devices (than twice the devices for `shards`)
 */
export function partition(labels: ArrayLike<number>, devices: number, split: Split, seed: string): Uint32Array[] {
  const least = split.kind === 'shards' ? 2 * devices : devices
  if (!Number.isInteger(devices) || devices < 1 || labels.length < least) {
    throw new RangeError(
      `${labels.length} examples cannot be divided over ${devices} devices: at least ${least} are needed`,
    )
  }
  const random = new SeededRandom(deriveSeed('partition', seed))
  if (split.kind === 'shards') return labelShards(labels, devices, random)
  if (split.kind === 'dirichlet') return dirichletSplit(labels, devices, split.alpha, random)
  const order = random.shuffle(Uint32Array.from({ length: labels.length }, (_, example) => example))
  return cutEvenly(order, devices)
}
