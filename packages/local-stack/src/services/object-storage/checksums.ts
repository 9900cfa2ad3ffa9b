import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { crc32c, crc64nvme } from './crc.ts'

/** S3's names, in lower case as in `x-amz-checksum-<name>`. */
export const checksumNames = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const
export type ChecksumName = (typeof checksumNames)[number]

export interface Checksum {
  readonly name: ChecksumName
  /** Base64 of the big-endian bytes; with `-<parts>` behind it for a checksum of checksums. */
  readonly value: string
}

export interface RunningChecksum {
  update(chunk: Buffer): void
  digest(): Buffer
}

/** A checksum that is fed chunk by chunk. */
export function startChecksum(name: ChecksumName): RunningChecksum {
  if (name === 'sha1' || name === 'sha256') {
    const hash = createHash(name)
    return { update: chunk => void hash.update(chunk), digest: () => hash.digest() }
  }
  if (name === 'crc64nvme') {
    const running = crc64nvme()
    return { update: chunk => running.update(chunk), digest: () => running.digest() }
  }
  const step = name === 'crc32' ? (chunk: Buffer, value: number) => crc32(chunk, value) : crc32c
  let value = 0
  return {
    update(chunk) {
      value = step(chunk, value)
    },
    digest() {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(value >>> 0)
      return bytes
    },
  }
}

/** The S3 name in any case, or undefined. */
export function checksumName(text: string | undefined): ChecksumName | undefined {
  const lower = text?.toLowerCase()
  return checksumNames.find(name => name === lower)
}

/** The checksum of the parts' checksums, as S3 gives it for multipart uploads. */
export function compositeChecksum(name: ChecksumName, parts: readonly string[]): Checksum {
  const running = startChecksum(name)
  for (const part of parts) running.update(Buffer.from(part, 'base64'))
  return { name, value: `${running.digest().toString('base64')}-${parts.length}` }
}
