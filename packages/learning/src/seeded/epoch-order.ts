import { SeededRandom } from './random.ts'
import { deriveSeed } from './seed.ts'

/**
 * The order in which a local epoch visits a device's examples.
 * @param seed the device's training seed of the round
 * @param localEpoch from 0
 * @returns a permutation of 0 … examples − 1
 */
export function epochOrder(seed: Uint8Array, localEpoch: number, examples: number): Uint32Array {
  const order = Uint32Array.from({ length: examples }, (_, example) => example)
  const hex = Array.from(seed, byte => byte.toString(16).padStart(2, '0')).join('')
  return new SeededRandom(deriveSeed('epoch', hex, localEpoch)).shuffle(order)
}
