import { sha256 } from '@noble/hashes/sha2.js'

/**
 * H(task seed, round, device label) of DESIGN section 7: SHA-256 over the compact JSON text of
 * `["tributary.seed/1", purpose, ...parts]` in UTF-8, so that any language can derive the same seed.
 * @param purpose keeps the uses of one task seed apart, e.g. `selection`
 * @param parts strings and safe integers; never generated ids, which differ from run to run
 * @returns 32 bytes
 */
export function deriveSeed(purpose: string, ...parts: (string | number)[]): Uint8Array {
  for (const part of parts) {
    if (typeof part === 'string' ? !part.isWellFormed() : !Number.isSafeInteger(part)) {
      throw new RangeError(`a seed is made of well-formed strings and safe integers, not of ${part}`)
    }
  }
  return sha256(new TextEncoder().encode(JSON.stringify(['tributary.seed/1', purpose, ...parts])))
}

/** The seed of a device's training in a round; of every attempt at it, so that a retry trains the same. */
export function trainingSeed(taskSeed: string, round: number, deviceLabel: string): Uint8Array {
  return deriveSeed('training', taskSeed, round, deviceLabel)
}
