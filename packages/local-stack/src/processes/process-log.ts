import { closeSync, existsSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs'

const maxLogBytes = 8 * 1024 * 1024
const maxTailLines = 40
const maxLineBytes = 4096

/**
 * What one child process wrote: a file that is moved to `<file>.1` at the start and whenever it has grown to 8 MiB, and the
 * last lines in memory for error messages. Synchronous writes, so that the last words of a crash are never lost.
 */
export class ProcessLog {
  readonly file: string
  readonly #listeners = new Set<(line: string) => void>()
  readonly #tail: string[] = []
  #descriptor: number | undefined
  #bytes = 0
  #partial = ''

  constructor(file: string) {
    this.file = file
    this.#open()
  }

  /** Calls `listener` with every whole line from now on; returns the function that ends it. */
  onLine(listener: (line: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  write(chunk: Buffer): void {
    this.#toFile(chunk)
    const lines = (this.#partial + chunk.toString('utf8')).split('\n')
    this.#partial = (lines.pop() ?? '').slice(0, maxLineBytes)
    for (const line of lines) this.#addLine(line.trimEnd().slice(0, maxLineBytes))
  }

  /** The last lines written, oldest first. */
  tail(lines = 15): string {
    return [...this.#tail, this.#partial]
      .filter(line => line !== '')
      .slice(-lines)
      .join('\n')
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
    this.#descriptor = undefined
  }

  #addLine(line: string): void {
    this.#tail.push(line)
    if (this.#tail.length > maxTailLines) this.#tail.shift()
    for (const listener of this.#listeners) listener(line)
  }

  #open(): void {
    if (existsSync(this.file)) renameSync(this.file, `${this.file}.1`)
    this.#descriptor = openSync(this.file, 'a', 0o600)
    this.#bytes = fstatSync(this.#descriptor).size
  }

  #toFile(chunk: Buffer): void {
    if (this.#descriptor === undefined) return
    try {
      if (this.#bytes + chunk.length > maxLogBytes) {
        this.close()
        this.#open()
      }
      if (this.#descriptor !== undefined) writeSync(this.#descriptor, chunk)
      this.#bytes += chunk.length
    } catch {
      // A full disk must not end the service whose words are written here; the tail in memory still has them.
    }
  }
}
