/** CRC-32C (Castagnoli), reflected polynomial 0x82F63B78 [RFC 3720, B.4]. */
export function crc32c(chunk: Buffer, previous: number): number {
  let value = ~previous
  for (const byte of chunk) value = (value >>> 8) ^ (castagnoli[(value ^ byte) & 0xff] ?? 0)
  return ~value >>> 0
}

const castagnoli = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value >>> 0
})

const nvmePolynomial = 0x9a6c9329ac4bc9b5n
const nvmeHigh = new Uint32Array(256)
const nvmeLow = new Uint32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let value = BigInt(byte)
  for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ nvmePolynomial : value >> 1n
  nvmeHigh[byte] = Number(value >> 32n)
  nvmeLow[byte] = Number(value & 0xffffffffn)
}

/** CRC-64/NVME, reflected, in two 32-bit halves (64-bit integers in JavaScript are slow). */
export function crc64nvme(): { update(chunk: Buffer): void; digest(): Buffer } {
  let high = 0xffffffff
  let low = 0xffffffff
  return {
    update(chunk) {
      for (const byte of chunk) {
        const at = (low ^ byte) & 0xff
        low = ((low >>> 8) | (high << 24)) ^ (nvmeLow[at] ?? 0)
        high = (high >>> 8) ^ (nvmeHigh[at] ?? 0)
      }
    },
    digest() {
      const bytes = Buffer.alloc(8)
      bytes.writeUInt32BE(~high >>> 0, 0)
      bytes.writeUInt32BE(~low >>> 0, 4)
      return bytes
    },
  }
}
