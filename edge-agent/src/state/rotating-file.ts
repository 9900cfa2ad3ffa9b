import { closeSync, fdatasyncSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'

export type Rotation = {
  /** A file that would grow beyond it is followed by the next, bytes. */
  readonly maxBytes: number
  /** Files kept, the one that is written to among them. */
  readonly files: number
  /** Whether a line is on the disk when `write` returns. @default false */
  readonly durable?: boolean
}

/**
 * A file of lines that takes no more than `maxBytes × files`: it becomes `<file>.1`, that one `<file>.2`, and the last is removed.
 * Writes are synchronous: a line is with the system before the next thing happens.
 */
export class RotatingFile implements Disposable {
  readonly #file: string
  readonly #rotation: Rotation
  #handle: number | undefined
  #bytes = 0

  constructor(file: string, rotation: Rotation) {
    this.#file = file
    this.#rotation = rotation
  }

  /** Throws what the file system says, e.g. that the disk is full; the next write tries anew. */
  write(text: string): void {
    const bytes = Buffer.from(text)
    const { maxBytes, durable } = this.#rotation
    let handle = this.#open()
    if (this.#bytes > 0 && this.#bytes + bytes.byteLength > maxBytes) {
      this.#rotate()
      handle = this.#open()
    }
    for (let offset = 0; offset < bytes.byteLength; ) offset += writeSync(handle, bytes, offset)
    this.#bytes += bytes.byteLength
    if (durable) fdatasyncSync(handle)
  }

  [Symbol.dispose](): void {
    if (this.#handle !== undefined) closeSync(this.#handle)
    this.#handle = undefined
  }

  #open(): number {
    if (this.#handle !== undefined) return this.#handle
    const handle = openSync(this.#file, 'a', 0o600)
    this.#handle = handle
    this.#bytes = fstatSync(handle).size
    return handle
  }

  #rotate(): void {
    this[Symbol.dispose]()
    const { files } = this.#rotation
    if (files <= 1) rmSync(this.#file, { force: true })
    for (let age = files - 2; age > 0; age -= 1) renameIfThere(`${this.#file}.${age}`, `${this.#file}.${age + 1}`)
    renameIfThere(this.#file, `${this.#file}.1`)
  }
}

const renameIfThere = (from: string, to: string): void => {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
