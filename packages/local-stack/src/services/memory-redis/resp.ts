const maxArguments = 10_000
const maxBulkBytes = 1024 * 1024
const maxBufferBytes = 4 * 1024 * 1024

/** A client does not speak RESP, or asks for too much. */
export class RespError extends Error {}

/** What a command answers; `status` is a simple string. */
export type RespReply = { readonly status: string } | Error | string | number | null | readonly RespReply[]

/** Collects bytes and yields whole commands: arrays of bulk strings. */
export class RespReader {
  #buffer: Buffer = Buffer.alloc(0);

  /** @throws RespError */
  *feed(chunk: Buffer): Generator<string[]> {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
    if (this.#buffer.length > maxBufferBytes) throw new RespError('Protocol error: too much is pending')
    for (;;) {
      const command = this.#take()
      if (!command) return
      yield command
    }
  }

  #take(): string[] | undefined {
    const head = this.#line(0, '*')
    if (!head) return undefined
    if (head.value < 0 || head.value > maxArguments) throw new RespError('Protocol error: invalid multibulk length')
    const parts: string[] = []
    let at = head.next
    for (let part = 0; part < head.value; part++) {
      const size = this.#line(at, '$')
      if (!size) return undefined
      if (size.value < 0 || size.value > maxBulkBytes) throw new RespError('Protocol error: invalid bulk length')
      const end = size.next + size.value
      if (this.#buffer.length < end + 2) return undefined
      parts.push(this.#buffer.toString('utf8', size.next, end))
      at = end + 2
    }
    this.#buffer = this.#buffer.subarray(at)
    return parts
  }

  #line(at: number, type: string): { value: number; next: number } | undefined {
    const end = this.#buffer.indexOf('\r\n', at)
    if (end < 0) {
      if (this.#buffer.length - at > 32) throw new RespError('Protocol error: a length is too long')
      return undefined
    }
    const line = this.#buffer.toString('latin1', at, end)
    if (line[0] !== type || !/^.-?\d{1,9}$/.test(line)) throw new RespError(`Protocol error: expected '${type}'`)
    return { value: Number(line.slice(1)), next: end + 2 }
  }
}

export function writeReply(reply: RespReply): string {
  if (reply instanceof Error) return `-${reply.message.replace(/[\r\n]/g, ' ')}\r\n`
  if (reply === null) return '$-1\r\n'
  if (typeof reply === 'number') return `:${reply}\r\n`
  if (typeof reply === 'string') return `$${Buffer.byteLength(reply)}\r\n${reply}\r\n`
  if ('status' in reply) return `+${reply.status}\r\n`
  return `*${reply.length}\r\n${reply.map(writeReply).join('')}`
}
