import type { FileHandle } from 'node:fs/promises'
import { DataError } from './data-error.ts'

/** Bytes that are read by position: a file, or a part of an archive that was unpacked. */
export type ByteSource = {
  /** How messages name it. */
  readonly name: string
  readonly size: number
  /** Exactly `length` bytes from `position`, which the caller has held against `size`. */
  read(position: number, length: number): Promise<Buffer>
}

/** Largest single read of the operating system. */
const maxReadBytes = 2 ** 30

/** A file as it is now. Reading throws FILE_CHANGED when it became shorter meanwhile. */
export const fileSource = async (file: FileHandle, name: string): Promise<ByteSource> => {
  const { size } = await file.stat()
  return {
    name,
    size,
    read: async (position, length) => {
      const buffer = Buffer.allocUnsafe(length)
      for (let filled = 0; filled < length; ) {
        const wanted = Math.min(length - filled, maxReadBytes)
        const { bytesRead } = await file.read(buffer, filled, wanted, position + filled)
        if (bytesRead === 0) throw new DataError('FILE_CHANGED', `${name} became shorter while it was read.`)
        filled += bytesRead
      }
      return buffer
    },
  }
}

export const bufferSource = (bytes: Buffer, name: string): ByteSource => ({
  name,
  size: bytes.length,
  read: async (position, length) => bytes.subarray(position, position + length),
})

/** Bytes of one slice: enough to be quick, too little to be noticed beside the data. */
const sliceBytes = 2 ** 20

/**
 * Hands over `count` elements of `elementBytes` bytes from `position`, slice by slice, so that a data set in its file's
 * form is never in memory as a whole beside the data set itself.
 */
export const readSlices = async (
  source: ByteSource,
  { position, count, elementBytes }: { position: number; count: number; elementBytes: number },
  use: (slice: Buffer, firstElement: number) => void,
): Promise<void> => {
  const perSlice = Math.floor(sliceBytes / elementBytes)
  for (let first = 0; first < count; first += perSlice) {
    const length = Math.min(perSlice, count - first) * elementBytes
    use(await source.read(position + first * elementBytes, length), first)
  }
}
