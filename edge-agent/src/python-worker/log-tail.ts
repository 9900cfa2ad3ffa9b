const mostBytes = 16 * 1024

/** The end of an endless text. */
export class LogTail {
  #chunks: Buffer[] = []
  #bytes = 0

  write(chunk: Buffer): void {
    this.#chunks.push(chunk.length > mostBytes ? Buffer.from(chunk.subarray(-mostBytes)) : chunk)
    this.#bytes += chunk.length
    if (this.#bytes < 4 * mostBytes && this.#chunks.length < 256) return
    this.#chunks = [Buffer.from(this.#whole())]
    this.#bytes = this.#chunks[0]?.length ?? 0
  }

  /** Whole lines, at most 16 KiB of them, without control characters. */
  toString(): string {
    const whole = this.#whole()
    const text = whole.toString('utf8').replaceAll(/[^\P{Cc}\n\t]/gu, '')
    const cut = whole.length === mostBytes ? text.indexOf('\n') + 1 : 0
    return text.slice(cut).trimEnd()
  }

  #whole(): Buffer {
    return Buffer.concat(this.#chunks).subarray(-mostBytes)
  }
}
