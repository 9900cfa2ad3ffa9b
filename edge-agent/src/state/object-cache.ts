import { createHash } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { TributaryError } from '@tributary/contracts/errors'
import { renameDurably } from './atomic-file.ts'

/** An object as the node announces it. */
export type ObjectInfo = { readonly sha256: string; readonly bytes: number }

/** Bytes of an object from `offset` on, as they arrive. Throws when the connection is lost. */
export type ObjectSource = (offset: number) => AsyncIterable<Uint8Array>

/**
 * Pulled objects in `<state>/objects`, named by their sha256, oldest use out first. A pull that is cut leaves its
 * prefix as `<sha256>.partial` and goes on from there, also after a restart.
 */
export class ObjectCache {
  readonly #folder: string
  readonly #maxBytes: number
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(folder: string, maxBytes: number) {
    this.#folder = folder
    this.#maxBytes = maxBytes
  }

  static async open(folder: string, maxBytes: number): Promise<ObjectCache> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return new ObjectCache(folder, maxBytes)
  }

  /** The whole object from disk, or undefined. What does not have its hash any more is removed. */
  async read(info: ObjectInfo): Promise<Uint8Array | undefined> {
    const file = this.#file(info)
    const size = await sizeOf(file)
    if (size === undefined) return undefined
    const bytes = size === info.bytes ? await readFile(file) : undefined
    if (bytes === undefined || sha256Of(bytes) !== info.sha256) {
      await rm(file, { force: true })
      return undefined
    }
    const now = new Date()
    await utimes(file, now, now)
    return bytes
  }

  /**
   * Gives the whole object another name on the same file system, under which it stays when the cache lets it go; false
   * where it is not here. Nothing of it is held in memory. What does not have its hash any more is removed.
   */
  async link(info: ObjectInfo, target: string): Promise<boolean> {
    const file = this.#file(info)
    if ((await sizeOf(file)) !== info.bytes || (await hashFile(file)) !== info.sha256) {
      await rm(file, { force: true })
      return false
    }
    const now = new Date()
    await utimes(file, now, now)
    await link(file, target)
    return true
  }

  /** Bytes of the object that are already here: where a pull resumes. */
  async resumeOffset(info: ObjectInfo): Promise<number> {
    const size = (await sizeOf(this.#partial(info))) ?? 0
    if (size <= info.bytes) return size
    await rm(this.#partial(info), { force: true })
    return 0
  }

  /**
   * Appends what the source gives to the prefix on disk; whole and of the right hash it becomes the object. One write at
   * a time. Throws LENGTH_MISMATCH when more comes than announced, CHECKSUM_MISMATCH (the prefix is then dropped), and
   * whatever the source throws (the prefix is then kept). False when the source ended early without an error.
   */
  async write(info: ObjectInfo, source: ObjectSource): Promise<boolean> {
    const turn = this.#turn.then(() => this.#write(info, source))
    this.#turn = turn.catch(() => {})
    return turn
  }

  async #write(info: ObjectInfo, source: ObjectSource): Promise<boolean> {
    if ((await sizeOf(this.#file(info))) === info.bytes) return true
    await this.#makeRoom(info)
    let received = await this.resumeOffset(info)
    const handle = await open(this.#partial(info), 'a', 0o600)
    try {
      if (received < info.bytes) {
        for await (const chunk of source(received)) {
          if (received + chunk.byteLength > info.bytes) {
            throw new TributaryError('LENGTH_MISMATCH', {
              detail: `Object ${info.sha256}: more than its ${info.bytes} bytes came.`,
            })
          }
          await handle.appendFile(chunk)
          received += chunk.byteLength
        }
      }
      if (received < info.bytes) return false
      await handle.datasync()
    } finally {
      await handle.close()
    }
    const hash = await hashFile(this.#partial(info))
    if (hash !== info.sha256) {
      await rm(this.#partial(info), { force: true })
      throw new TributaryError('CHECKSUM_MISMATCH', { detail: `Object ${info.sha256}: what came has sha256 ${hash}.` })
    }
    await renameDurably(this.#partial(info), this.#file(info))
    return true
  }

  async #makeRoom(wanted: ObjectInfo): Promise<void> {
    const entries: { name: string; bytes: number; usedAt: number }[] = []
    for (const name of await readdir(this.#folder)) {
      if (name.startsWith(wanted.sha256)) continue
      // A reader may have removed it meanwhile: what rotted goes outside of the writers' turns.
      const found = await statOf(join(this.#folder, name))
      if (found !== undefined) entries.push({ name, bytes: found.size, usedAt: found.mtimeMs })
    }
    entries.sort((a, b) => a.usedAt - b.usedAt)
    let total = entries.reduce((sum, { bytes }) => sum + bytes, wanted.bytes)
    for (const { name, bytes } of entries) {
      if (total <= this.#maxBytes) return
      await rm(join(this.#folder, name), { force: true })
      total -= bytes
    }
  }

  #file({ sha256 }: ObjectInfo): string {
    return join(this.#folder, sha256)
  }

  #partial({ sha256 }: ObjectInfo): string {
    return join(this.#folder, `${sha256}.partial`)
  }
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const hashFile = async (file: string): Promise<string> => {
  const handle = await open(file, 'r')
  const hash = createHash('sha256')
  for await (const chunk of handle.createReadStream({ highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

const sizeOf = async (file: string): Promise<number | undefined> => (await statOf(file))?.size

/** Undefined where there is no such file. */
const statOf = async (file: string): Promise<{ size: number; mtimeMs: number } | undefined> => {
  try {
    return await stat(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
