import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'

export type DeviceTls = { readonly ca: string; readonly cert: string; readonly key: string }

const { HTTP2_HEADER_PATH, HTTP2_HEADER_METHOD, HTTP2_HEADER_CONTENT_TYPE, HTTP2_HEADER_TE } = constants
const callMillis = 300_000

/** A call that was refused. */
export class RefusedCallError extends Error {
  override readonly name = 'RefusedCallError'
}

/**
 * One device's connection: HTTP/2 over mutual TLS with messages framed by hand, since a gRPC client costs as much as the server
 * that is measured on the same cores.
 */
export class GrpcConnection {
  readonly #session: ClientHttp2Session

  private constructor(session: ClientHttp2Session) {
    this.#session = session
  }

  static open(port: number, tls: DeviceTls): Promise<GrpcConnection> {
    return new Promise((resolve, reject) => {
      const session = connect(`https://localhost:${port}`, { ...tls, settings: { enablePush: false } })
      session.once('error', reject)
      session.once('connect', () => {
        session.off('error', reject)
        session.on('error', () => {})
        resolve(new GrpcConnection(session))
      })
    })
  }

  /**
   * Sends the messages of one call and resolves with the only message of the answer.
   * @throws RefusedCallError
   */
  async call(path: string, frames: Iterable<Buffer>): Promise<Buffer> {
    const stream = this.#session.request({
      [HTTP2_HEADER_METHOD]: 'POST',
      [HTTP2_HEADER_PATH]: path,
      [HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [HTTP2_HEADER_TE]: 'trailers',
    })
    const answer = readAnswer(stream, path)
    answer.catch(() => {})
    for (const frame of frames) {
      if (stream.destroyed || stream.writableEnded) break
      if (!stream.write(frame)) await Promise.race([new Promise(resolve => stream.once('drain', resolve)), answer])
    }
    stream.end()
    return answer
  }

  close(): void {
    this.#session.destroy()
  }
}

const readAnswer = (stream: ClientHttp2Stream, path: string): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let status: string | undefined
    let detail = ''
    const take = (headers: Record<string, unknown>): void => {
      if (headers['grpc-status'] !== undefined) status = String(headers['grpc-status'] as string)
      if (headers['grpc-message'] !== undefined) detail = String(headers['grpc-message'] as string)
    }
    stream.setTimeout(callMillis, () => stream.close(constants.NGHTTP2_CANCEL))
    stream.on('response', take)
    stream.on('trailers', take)
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.on('error', reject)
    stream.on('close', () => {
      const bytes = Buffer.concat(parts)
      if (status === '0' && bytes.byteLength >= 5) resolve(bytes.subarray(5))
      else reject(new RefusedCallError(`${path}: gRPC status ${status} ${detail}`))
    })
  })
