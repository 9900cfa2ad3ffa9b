import { createHash } from 'node:crypto'
import type { ObjectRef } from '@tributary/contracts/ids'
import { LogCorruptError } from '../log/log-corrupt-error.ts'
import { type FileRange, RangeReader } from '../log/sealed-file.ts'
import { ObjectMissingError, type ObjectStore } from '../storage/object-store.ts'

/** Object storage in memory, held to the cases of the real one. */
export class MemoryObjectStore implements ObjectStore {
  readonly objects = new Map<string, Buffer>()
  reads = 0

  async read(objectKey: string): Promise<AsyncIterable<Uint8Array>> {
    this.reads += 1
    const bytes = this.objects.get(objectKey)
    if (bytes === undefined) throw new ObjectMissingError(`there is no object ${objectKey}`)
    return (async function* () {
      yield bytes
    })()
  }

  async write(file: FileRange, { objectKey, sha256, bytes }: ObjectRef): Promise<void> {
    await using reader = await RangeReader.open(file)
    const content = await reader.range(0, file.bytes)
    if (content.byteLength !== bytes || createHash('sha256').update(content).digest('hex') !== sha256) {
      throw new LogCorruptError(`the file for ${objectKey} does not have its sha256`)
    }
    this.objects.set(objectKey, content)
  }
}
