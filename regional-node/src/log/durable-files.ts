import { mkdir, open, rename, rm, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Makes a folder's entries durable. */
export const syncFolder = async (folder: string): Promise<void> => {
  await using handle = await open(folder, 'r')
  await handle.sync()
}

/** Makes a folder's entries durable for many who ask: those who ask while one sync runs share the next. */
export class SharedFolderSync {
  readonly #folder: string
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(folder: string) {
    this.#folder = folder
  }

  sync(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = syncFolder(this.#folder).finally(() => {
        this.#running = undefined
      })
      return this.#running
    }
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        return this.sync()
      })
    return this.#next
  }
}

/** Removes a file; one that is gone already is fine. */
export const removeFile = (path: string): Promise<void> => unlink(path).catch(ignoreMissing)

/** Makes a folder and its parents, durably. */
export const makeFolder = async (folder: string): Promise<void> => {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let path = folder; path.length >= first.length; path = dirname(path)) await syncFolder(dirname(path))
}

/** Removes a folder with all it holds, durably; one that is gone already is fine. */
export const removeFolder = async (folder: string): Promise<void> => {
  await rm(folder, { recursive: true, force: true })
  await syncFolder(dirname(folder)).catch(ignoreMissing)
}

/** Writes a small file so that it is whole or absent after any crash. */
export const writeWhole = async (path: string, content: Uint8Array | string, mode = 0o600): Promise<void> => {
  const draft = `${path}.draft`
  {
    await using handle = await open(draft, 'w', mode)
    await handle.writeFile(content)
    await handle.sync()
  }
  await rename(draft, path)
  await syncFolder(dirname(path))
}

export const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT'

export const ignoreMissing = (error: unknown): void => {
  if (!isMissing(error)) throw error
}
