import { type Stats, unwatchFile, watchFile } from 'node:fs'
import { readFile } from 'node:fs/promises'

const maxListBytes = 16 * 1024 * 1024

/** Revoked certificates' fingerprints from a file, read again whenever it changes. */
export class RevocationList implements Disposable {
  readonly #file: string
  readonly #onChange: () => void
  #revoked = new Set<string>()

  constructor(file: string, onChange: () => void) {
    this.#file = file
    this.#onChange = onChange
  }

  /** Reads the list and begins to watch it. */
  async open(): Promise<void> {
    await this.#read()
    watchFile(this.#file, { interval: 500 }, this.#changed)
  }

  has(fingerprint: string): boolean {
    return this.#revoked.has(fingerprint)
  }

  [Symbol.dispose](): void {
    unwatchFile(this.#file, this.#changed)
  }

  readonly #changed = (now: Stats, before: Stats): void => {
    if (now.mtimeMs === before.mtimeMs && now.size === before.size && now.ino === before.ino) return
    this.#read().then(this.#onChange, error => console.error(`the revocation list could not be read: ${error.message}`))
  }

  async #read(): Promise<void> {
    const text = await readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    })
    if (text.length > maxListBytes) throw new Error(`${this.#file} is larger than ${maxListBytes} bytes`)
    this.#revoked = new Set(text.split(/\s+/).map(line => line.replaceAll(':', '').toLowerCase()))
  }
}
