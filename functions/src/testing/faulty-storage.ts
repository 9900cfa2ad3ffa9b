import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** What an object store may do instead of its work. `lost`: it does the work, and its answer does not arrive. */
export const storageFaults = ['500', '503', '409', '412', 'cut', 'silent', 'lost'] as const
/**
 * What may become of a body. `truncated`: half of it arrives, the request's where it has one. `short`: half of the answer's, as if it were
 * the whole. `slow`: all of it, bit by bit.
 */
export const bodyFaults = ['truncated', 'short', 'slow'] as const
export type StorageFault = (typeof storageFaults)[number] | (typeof bodyFaults)[number]

const slowPieces = 16
const slowPieceMillis = 10

const codes = { 500: 'InternalError', 503: 'SlowDown', 409: 'OperationAborted', 412: 'PreconditionFailed' }

/** Which fault a request meets: the how-many-th it is, from 0, and what it asks for. */
export type FaultOf = (request: number, asked: Pick<IncomingMessage, 'method' | 'url'>) => StorageFault | undefined

/**
 * In front of an S3 endpoint: hands requests on, but for those that the test gives a fault. `Host` stays that of the proxy, under
 * which the client signed.
 * @param silentMillis a silent one is cut off after so long; @default never
 */
export const startFaultyStorage = async (port: number, silentMillis?: number) => {
  const plan: { faultOf: FaultOf } = { faultOf: () => undefined }
  let seen = 0
  const handOn = (incoming: IncomingMessage, answer: (upstream: IncomingMessage) => void): void => {
    const { method, url, headers } = incoming
    const outgoing = request({ host: '127.0.0.1', port, method, path: url, headers }, answer)
    outgoing.on('error', () => incoming.destroy())
    incoming.pipe(outgoing)
  }
  /** The store gets the first half of the request, and the client no answer. */
  const truncate = async (incoming: IncomingMessage): Promise<void> => {
    const { method, url, headers } = incoming
    const outgoing = request({ host: '127.0.0.1', port, method, path: url, headers }).on('error', () => undefined)
    let left = Math.floor(Number(headers['content-length']) / 2)
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      outgoing.write(chunk.subarray(0, left))
      left -= chunk.byteLength
      if (left <= 0) break
    }
    outgoing.destroy()
    incoming.destroy()
  }
  const serve = (incoming: IncomingMessage, response: ServerResponse): void => {
    const fault = plan.faultOf(seen++, incoming)
    response.on('error', () => undefined)
    if (fault === 'cut') return void incoming.destroy()
    if (fault === 'silent') {
      incoming.resume()
      if (silentMillis !== undefined) setTimeout(() => incoming.destroy(), silentMillis).unref()
      return
    }
    if (fault === 'lost') {
      handOn(incoming, upstream => {
        upstream.resume()
        upstream.on('end', () => incoming.destroy())
      })
      return
    }
    if (fault === 'truncated' && Number(incoming.headers['content-length'] ?? 0) > 0) return void truncate(incoming)
    if (fault === 'truncated' || fault === 'short' || fault === 'slow') {
      handOn(incoming, upstream => void answerPartly(upstream, response, fault))
      return
    }
    if (fault !== undefined) {
      incoming.resume()
      incoming.on('end', () => {
        const xml = `<?xml version="1.0"?><Error><Code>${codes[fault]}</Code><Message>a fault of the test</Message></Error>`
        response.writeHead(Number(fault), { 'content-type': 'application/xml', 'content-length': xml.length }).end(xml)
      })
      return
    }
    handOn(incoming, upstream => {
      response.writeHead(upstream.statusCode ?? 500, upstream.headers)
      upstream.pipe(response)
    })
  }
  const server = createServer(serve)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Begins to count at 0. @returns how many requests came since the last time */
    begin(faultOf: FaultOf): number {
      const before = seen
      seen = 0
      plan.faultOf = faultOf
      return before
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const answerPartly = async (
  upstream: IncomingMessage,
  response: ServerResponse,
  fault: 'truncated' | 'short' | 'slow',
): Promise<void> => {
  const chunks: Buffer[] = []
  for await (const chunk of upstream) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  const half = body.subarray(0, body.byteLength / 2)
  const { 'content-length': length, ...headers } = upstream.headers
  const told =
    fault === 'short' ? { 'content-length': half.byteLength } : length === undefined ? {} : { 'content-length': length }
  response.writeHead(upstream.statusCode ?? 500, { ...headers, ...told })
  if (fault === 'short') response.end(half)
  else if (fault === 'truncated') response.write(half, () => response.destroy())
  else {
    const piece = Math.max(1, Math.ceil(body.byteLength / slowPieces))
    for (let at = 0; at < body.byteLength && !response.destroyed; at += piece) {
      response.write(body.subarray(at, at + piece))
      await delay(slowPieceMillis)
    }
    response.end()
  }
}
