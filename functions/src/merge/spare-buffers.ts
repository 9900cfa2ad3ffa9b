const stepBytes = 64 * 1024

/** Memory of ranges that were worked on, for those that are read next: a merge would otherwise allocate all that it reads. */
export class SpareBuffers {
  readonly #spare: ArrayBuffer[] = []

  /** Memory of so many bytes with any content. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    const fits = this.#spare.findIndex(({ byteLength }) => byteLength >= bytes && byteLength <= 2 * bytes + stepBytes)
    const [buffer = new ArrayBuffer(Math.ceil(bytes / stepBytes) * stepBytes)] =
      fits === -1 ? [] : this.#spare.splice(fits, 1)
    return new Uint8Array(buffer, 0, bytes)
  }

  /** Takes back what `take` gave and nobody uses any more. */
  give({ buffer }: Uint8Array<ArrayBuffer>): void {
    this.#spare.push(buffer)
  }
}
