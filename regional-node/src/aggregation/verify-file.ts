import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { isMissing } from '../log/durable-files.ts'
import { LogCorruptError } from '../log/log-corrupt-error.ts'
import { type FileRange, RangeReader } from '../log/sealed-file.ts'

const sliceBytes = 1024 * 1024

/**
 * Proves that a durable file is whole and unchanged.
 * @throws LogCorruptError
 */
export const verifyFile = async (range: FileRange, sha256: string): Promise<void> => {
  const { path, offset, bytes } = range
  const size = await stat(path).then(
    found => found.size,
    error => {
      if (!isMissing(error)) throw error
      return -1
    },
  )
  if (size < offset + bytes) throw new LogCorruptError(`the file ${path} has ${size} bytes of ${offset + bytes}`)
  await using reader = await RangeReader.open(range)
  const hash = createHash('sha256')
  for (let start = 0; start < bytes; start += sliceBytes) {
    hash.update(await reader.range(start, Math.min(sliceBytes, bytes - start)))
  }
  if (hash.digest('hex') !== sha256) throw new LogCorruptError(`the file ${path} does not have its sha256`)
}
