const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  // 0x82f63b78 is the Castagnoli polynomial, reflected. RFC 3720, B.4
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc >>> 0
})

/** CRC-32C (Castagnoli) of bytes, continued from `start`, the result for what came before. */
export const crc32c = (bytes: Uint8Array, start = 0): number => {
  let crc = ~start
  for (let i = 0; i < bytes.length; i += 1) {
    crc = (crc >>> 8) ^ (table[(crc ^ (bytes[i] as number)) & 0xff] as number)
  }
  return ~crc >>> 0
}
