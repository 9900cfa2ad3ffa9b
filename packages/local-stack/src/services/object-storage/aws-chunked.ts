import { StorageError } from './storage-error.ts'

const maxLineBytes = 1024
const maxTrailers = 8

/**
 * Takes apart a body in `aws-chunked` encoding: yields the payload and fills `trailers` at the end. Chunk signatures are not
 * verified: bodies signed chunk by chunk are refused before.
 *
 * @throws StorageError IncompleteBody, InvalidRequest
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
 */
export async function* decodeAwsChunked(
  body: AsyncIterable<Buffer>,
  trailers: Map<string, string>,
): AsyncGenerator<Buffer> {
  const reader = new LineReader(body)
  for (;;) {
    const header = await reader.line()
    const size = /^([0-9a-f]{1,8})(?:;.*)?$/i.exec(header)?.[1]
    if (size === undefined) throw new StorageError('InvalidRequest', 'a chunk of the aws-chunked body has no size')
    const bytes = Number.parseInt(size, 16)
    if (bytes === 0) break
    yield* reader.exactly(bytes)
    if ((await reader.line()) !== '') throw new StorageError('InvalidRequest', 'a chunk is longer than its size')
  }
  for (let line = await reader.lineOrEnd(); line !== undefined && line !== ''; line = await reader.lineOrEnd()) {
    const at = line.indexOf(':')
    if (at < 1 || trailers.size >= maxTrailers) throw new StorageError('InvalidRequest', 'the trailer is malformed')
    trailers.set(line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim())
  }
}

class LineReader {
  readonly #source: AsyncIterator<Buffer>
  #buffer: Buffer = Buffer.alloc(0)

  constructor(body: AsyncIterable<Buffer>) {
    this.#source = body[Symbol.asyncIterator]()
  }

  async line(): Promise<string> {
    const line = await this.lineOrEnd()
    if (line === undefined) throw new StorageError('IncompleteBody', 'the body ended before its last chunk')
    return line
  }

  /** Without its CR LF; undefined at the end of the body. */
  async lineOrEnd(): Promise<string | undefined> {
    for (;;) {
      const end = this.#buffer.indexOf('\r\n')
      if (end > maxLineBytes || (end < 0 && this.#buffer.length > maxLineBytes)) {
        throw new StorageError('InvalidRequest', 'a line of the aws-chunked body is too long')
      }
      if (end >= 0) {
        const line = this.#buffer.toString('latin1', 0, end)
        this.#buffer = this.#buffer.subarray(end + 2)
        return line
      }
      if (!(await this.#more())) return this.#buffer.length === 0 ? undefined : this.#rest()
    }
  }

  async *exactly(bytes: number): AsyncGenerator<Buffer> {
    for (let left = bytes; left > 0; ) {
      if (this.#buffer.length === 0 && !(await this.#more()))
        throw new StorageError('IncompleteBody', 'the body ended inside a chunk')
      const piece = this.#buffer.subarray(0, left)
      this.#buffer = this.#buffer.subarray(piece.length)
      left -= piece.length
      if (piece.length > 0) yield piece
    }
  }

  #rest(): string {
    const rest = this.#buffer.toString('latin1')
    this.#buffer = Buffer.alloc(0)
    return rest
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#source.next()
    if (done) return false
    this.#buffer = this.#buffer.length === 0 ? value : Buffer.concat([this.#buffer, value])
    return true
  }
}
