import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ByteRange, ObjectStore } from '@tributary/functions/adapters/object-store'
import type { StoredPart } from '@tributary/functions/adapters/part-uploads'
import { partBytesOf } from '@tributary/functions/merge/version-file'

/** What a merge uses of an object store. */
export type MergeStore = Pick<ObjectStore, 'head' | 'readRange' | 'put'> & {
  readonly partUploads: Pick<ObjectStore['partUploads'], 'begin' | 'send' | 'list' | 'complete' | 'abort'>
}

/**
 * Objects as files, without a network or a second process: what is left is the work of the merge itself. Parts are hashed, as they are
 * for S3, and written where they belong.
 */
export class FileStore implements MergeStore, AsyncDisposable {
  readonly #folder: string
  readonly #handles = new Map<string, Promise<FileHandle>>()
  readonly #parts: StoredPart[] = []
  /** Size of the object that is uploaded in parts. */
  readonly #uploadBytes: number

  constructor(folder: string, uploadBytes: number) {
    this.#folder = folder
    this.#uploadBytes = uploadBytes
  }

  #open(key: string): Promise<FileHandle> {
    const known = this.#handles.get(key)
    if (known !== undefined) return known
    const path = join(this.#folder, key)
    const opened = mkdir(join(path, '..'), { recursive: true })
      .then(() => open(path, 'a+'))
      .then(async handle => {
        await handle.close()
        return open(path, 'r+')
      })
    this.#handles.set(key, opened)
    return opened
  }

  async head(key: string) {
    const found = await stat(join(this.#folder, key)).catch(() => null)
    return found && { bytes: found.size, sha256: null }
  }

  async readRange(
    key: string,
    { start, end }: ByteRange,
    _?: AbortSignal,
    bytes = new Uint8Array(end - start),
  ): Promise<Uint8Array<ArrayBuffer>> {
    const handle = await this.#open(key)
    for (let filled = 0; filled < bytes.length; ) {
      const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, start + filled)
      if (bytesRead === 0) throw new Error(`${key} ends early`)
      filled += bytesRead
    }
    return bytes
  }

  async put(key: string, bytes: Uint8Array) {
    await (await this.#open(key)).writeFile(bytes)
    return { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length }
  }

  readonly partUploads = {
    begin: async (key: string) => key,
    send: async ({ key, part }: { key: string; part: number }, bytes: Uint8Array) => {
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      const handle = await this.#open(`${key}.parts`)
      await handle.write(bytes, 0, bytes.length, (part - 1) * partBytesOf(this.#uploadBytes))
      const stored = { part, bytes: bytes.length, sha256, tag: '' }
      this.#parts.push(stored)
      return stored
    },
    list: async () => this.#parts,
    complete: async () => true,
    abort: async () => undefined,
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const handle of this.#handles.values()) await (await handle).close()
  }
}
