import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import type { Compressors, snappyUncompress } from 'hyparquet'

/** Of one page; writers make pages of about 1 MB. */
const maxPageBytes = 2 ** 27

type Unpack = (packed: Uint8Array, bytes: number) => Uint8Array

/** Refuses a page before it is unpacked, and one that unpacks to more than it says when it does. */
const bounded =
  (unpack: Unpack): Unpack =>
  (packed, bytes) => {
    if (!(bytes >= 0 && bytes <= maxPageBytes)) throw new RangeError(`a page unpacks to ${bytes} bytes`)
    return unpack(packed, bytes)
  }

/** Those of Node, beside Snappy, which the parser brings. */
export const decompressorsWith = (snappy: typeof snappyUncompress): Compressors => ({
  SNAPPY: bounded((packed, bytes) => {
    const output = new Uint8Array(bytes)
    snappy(packed, output)
    return output
  }),
  GZIP: bounded((packed, bytes) => gunzipSync(packed, { maxOutputLength: Math.max(bytes, 1) })),
  BROTLI: bounded((packed, bytes) => brotliDecompressSync(packed, { maxOutputLength: Math.max(bytes, 1) })),
  ZSTD: bounded((packed, bytes) => zstdDecompressSync(packed, { maxOutputLength: Math.max(bytes, 1) })),
})
