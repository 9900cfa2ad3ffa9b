/** AES block size. */
export const BLOCK_BYTES = 16

/** Counter block of the block that comes `blocks` after that of `iv` (NIST SP 800-38A, 6.5 and B.1, all 128 bits counting). */
export function counterBlock(iv: Uint8Array, blocks: number): Uint8Array {
  const block = Uint8Array.from(iv)
  for (let i = BLOCK_BYTES - 1, carry = blocks; i >= 0 && carry > 0; i -= 1) {
    const sum = (block[i] as number) + (carry % 256)
    block[i] = sum % 256
    carry = Math.floor(carry / 256) + (sum >= 256 ? 1 : 0)
  }
  return block
}
