import type { Readable } from 'node:stream'
import { ProcessLog } from '../processes/process-log.ts'

const maxLineBytes = 64 * 1024

/** The log of one function, written by all its instances in whole lines; bounded as `ProcessLog` is. */
export class FunctionLog {
  readonly #log: ProcessLog

  constructor(file: string) {
    this.#log = new ProcessLog(file)
  }

  /** Takes what an instance writes until the stream ends. */
  follow(stream: Readable): void {
    let partial = Buffer.alloc(0)
    stream.on('data', (chunk: Buffer) => {
      const end = chunk.lastIndexOf(0x0a) + 1
      if (end === 0) partial = Buffer.concat([partial, chunk])
      else {
        this.#log.write(Buffer.concat([partial, chunk.subarray(0, end)]))
        partial = Buffer.from(chunk.subarray(end))
      }
      if (partial.length > maxLineBytes) {
        this.#log.write(Buffer.concat([partial, Buffer.from('\n')]))
        partial = Buffer.alloc(0)
      }
    })
    stream.once('end', () => {
      if (partial.length > 0) this.#log.write(Buffer.concat([partial, Buffer.from('\n')]))
    })
    stream.on('error', () => undefined)
  }

  /** A line of the platform, as CloudWatch shows them between those of the function. */
  line(text: string): void {
    this.#log.write(Buffer.from(`${text}\n`))
  }

  tail(lines?: number): string {
    return this.#log.tail(lines)
  }

  close(): void {
    this.#log.close()
  }
}
