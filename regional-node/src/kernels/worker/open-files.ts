import { closeSync, openSync } from 'node:fs'

/** Files that are open to read for as long as a few jobs take: many of their bodies lie in the same one. */
export class OpenFiles implements Disposable {
  readonly #files = new Map<string, number>()

  /** The descriptor of a file, which stays this one's. */
  open(path: string): number {
    const known = this.#files.get(path)
    if (known !== undefined) return known
    const file = openSync(path, 'r')
    this.#files.set(path, file)
    return file
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.values()) closeSync(file)
    this.#files.clear()
  }
}
