import type { Readable } from 'node:stream'
import { ProcessLog } from '../processes/process-log.ts'
import { isMetricLine, type MetricStore } from './metric-store.ts'

const maxLineBytes = 64 * 1024

/** The log of one function, written by all its instances in whole lines; bounded as `ProcessLog` is. */
export class FunctionLog {
  readonly #log: ProcessLog
  readonly #metrics: MetricStore | undefined

  /** @param metrics takes the measurements among the lines, which then are not in the file */
  constructor(file: string, metrics?: MetricStore) {
    this.#log = new ProcessLog(file)
    this.#metrics = metrics
  }

  /** Takes what an instance writes until the stream ends. */
  follow(stream: Readable): void {
    let partial = Buffer.alloc(0)
    stream.on('data', (chunk: Buffer) => {
      const end = chunk.lastIndexOf(0x0a) + 1
      if (end === 0) partial = Buffer.concat([partial, chunk])
      else {
        this.#write(Buffer.concat([partial, chunk.subarray(0, end)]))
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

  #write(lines: Buffer): void {
    const metrics = this.#metrics
    if (metrics === undefined || !lines.includes('{"_aws":')) {
      this.#log.write(lines)
      return
    }
    const [measured, others] = [[], []] as [string[], string[]]
    for (const line of lines.toString('utf8').split('\n')) (isMetricLine(line) ? measured : others).push(line)
    for (const line of measured) metrics.take(line)
    const text = others.join('\n')
    if (text !== '') this.#log.write(Buffer.from(text))
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
