import type { FileHandle } from 'node:fs/promises'
import { DataError } from './data-error.ts'

/** Bytes that are read by position: a file, or a part of an archive that was unpacked. */
export type ByteSource = {
  /** How messages name it. */
  readonly name: string
  readonly size: number
  /** Exactly `length` bytes from `position`, which the caller has held against `size`. */
  read(position: number, length: number): Promise<Buffer>
  /** Fills `target` from `position`, under the same condition: for readers that use one buffer again and again. */
  fill(position: number, target: Buffer): Promise<void>
}

/** Largest single read of the operating system. */
const maxReadBytes = 2 ** 30

/** A file as it is now. Reading throws FILE_CHANGED when it became shorter meanwhile. */
export const fileSource = async (file: FileHandle, name: string): Promise<ByteSource> => {
  const { size } = await file.stat()
  const fill = async (position: number, target: Buffer): Promise<void> => {
    for (let filled = 0; filled < target.length; ) {
      const wanted = Math.min(target.length - filled, maxReadBytes)
      const { bytesRead } = await file.read(target, filled, wanted, position + filled)
      if (bytesRead === 0) throw new DataError('FILE_CHANGED', `${name} became shorter while it was read.`)
      filled += bytesRead
    }
  }
  return {
    name,
    size,
    fill,
    read: async (position, length) => {
      const buffer = Buffer.allocUnsafe(length)
      await fill(position, buffer)
      return buffer
    },
  }
}

export const bufferSource = (bytes: Buffer, name: string): ByteSource => ({
  name,
  size: bytes.length,
  read: async (position, length) => bytes.subarray(position, position + length),
  fill: async (position, target) => void bytes.copy(target, 0, position, position + target.length),
})

/** Bytes of one slice: enough to be quick, too little to be noticed beside the data. */
const sliceBytes = 2 ** 20

/**
 * Hands over `count` elements of `elementBytes` bytes from `position`, slice by slice, so that a file is never in memory as
 * a whole. A slice holds until the next one.
 */
export const readSlices = async (
  source: ByteSource,
  { position, count, elementBytes }: { position: number; count: number; elementBytes: number },
  use: (slice: Buffer, firstElement: number) => void,
): Promise<void> => {
  const perSlice = Math.floor(sliceBytes / elementBytes)
  const buffer = Buffer.allocUnsafeSlow(Math.min(perSlice, count) * elementBytes)
  for (let first = 0; first < count; first += perSlice) {
    const length = Math.min(perSlice, count - first) * elementBytes
    const slice = buffer.subarray(0, length)
    await source.fill(position + first * elementBytes, slice)
    use(slice, first)
  }
}
