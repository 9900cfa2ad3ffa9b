import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ObjectRef } from '@tributary/contracts/ids'
import { isMissing } from '../log/durable-files.ts'
import { LogCorruptError } from '../log/log-corrupt-error.ts'
import { type FileRange, RangeReader } from '../log/sealed-file.ts'
import { ObjectMissingError, type ObjectStore } from '../storage/object-store.ts'

/** Object storage in a folder that outlives the process, held to the cases of the real one. */
export class FolderObjectStore implements ObjectStore {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async read(objectKey: string): Promise<AsyncIterable<Uint8Array>> {
    const bytes = await readFile(join(this.#folder, objectKey)).catch((error: unknown) => {
      if (isMissing(error)) throw new ObjectMissingError(`there is no object ${objectKey}`)
      throw error
    })
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
    await this.put(objectKey, content)
  }

  /** Whole or not at all. */
  async put(objectKey: string, content: Uint8Array): Promise<void> {
    const path = join(this.#folder, objectKey)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(`${path}.draft`, content)
    await rename(`${path}.draft`, path)
  }
}
