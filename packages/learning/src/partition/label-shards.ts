import type { SeededRandom } from '../seeded/random.ts'
import { cutEvenly } from './cut-evenly.ts'

/**
 * The pathological split of McMahan 2017, section 3: examples sorted by label, cut into two shards for each device, two
 * shards dealt to each. Most devices see two labels.
 */
export function labelShards(labels: ArrayLike<number>, devices: number, random: SeededRandom): Uint32Array[] {
  const byLabel = Uint32Array.from({ length: labels.length }, (_, example) => example)
  byLabel.sort((a, b) => (labels[a] as number) - (labels[b] as number) || a - b)
  const shards = random.shuffle(cutEvenly(byLabel, 2 * devices))
  return Array.from({ length: devices }, (_, device) => {
    return Uint32Array.from(shards.slice(2 * device, 2 * device + 2).flatMap(shard => [...shard]))
  })
}
