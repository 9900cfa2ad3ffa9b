import { sha256 } from '@noble/hashes/sha2.js'

/**
 * The shard of a device: sha256(device id) as a big-endian number, mod shard count.
 * @param deviceId hashed as UTF-8
 */
export function shardOf(deviceId: string, shardCount: number): number {
  return shardOfDigest(sha256(new TextEncoder().encode(deviceId)), shardCount)
}

/** As `shardOf`, for whoever has the digest already. */
export function shardOfDigest(digest: Uint8Array, shardCount: number): number {
  if (!Number.isInteger(shardCount) || shardCount < 1 || shardCount > 2 ** 32) {
    throw new RangeError(`shard count ${shardCount}: must be an integer from 1 to 2^32`)
  }
  return digest.reduce((remainder, byte) => (remainder * 256 + byte) % shardCount, 0)
}
