import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What an endpoint of object storage may do instead of its work. */
export type StorageFault = 500 | 503 | 'cut' | 'silence'

const silenceMillis = 3000

/** Stands before object storage and lets some requests fail. */
export type FaultyStorage = AsyncDisposable & {
  readonly url: string
  /** Requests that failed on purpose. */
  readonly failed: number
}

/** @param fault drawn for each request; null lets it pass */
export const startFaultyStorage = async (target: string, fault: () => StorageFault | null): Promise<FaultyStorage> => {
  let failed = 0
  const server = createServer((incoming, response) => {
    const drawn = fault()
    if (drawn === null) {
      pass(target, incoming, response)
      return
    }
    failed += 1
    incoming.resume()
    if (drawn === 'cut') incoming.socket.destroy()
    else if (drawn === 'silence') setTimeout(() => incoming.socket.destroy(), silenceMillis).unref()
    else {
      const code = drawn === 503 ? 'SlowDown' : 'InternalError'
      response.writeHead(drawn, { 'content-type': 'application/xml' })
      response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>drawn</Message></Error>`)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get failed() {
      return failed
    },
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** Headers stay as they are: the signature holds for the host that the client named. */
const pass = (target: string, incoming: IncomingMessage, response: ServerResponse): void => {
  const { method, url, headers } = incoming
  const { hostname, port } = new URL(target)
  const onward = request({ hostname, port, method, path: url, headers }, answer => {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
    answer.pipe(response)
    answer.on('error', () => response.destroy())
  })
  onward.on('error', () => response.destroy())
  incoming.on('error', () => onward.destroy())
  response.on('close', () => onward.destroy())
  incoming.pipe(onward)
}
