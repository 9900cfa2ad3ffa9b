import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ListenAddress {
  readonly host: string
  /** 0 for any free port. */
  readonly port: number
}

/** An HTTP server that listens; disposing it lets requests under way finish for at most 3 s. */
export interface ListeningServer extends AsyncDisposable {
  readonly server: Server
  readonly host: string
  readonly port: number
}

const closeGraceMs = 3000

/** @throws NodeJS.ErrnoException, e.g. EADDRINUSE. */
export async function listen(
  address: ListenAddress,
  options: ServerOptions,
  onRequest: RequestListener,
): Promise<ListeningServer> {
  const server = createServer(options, onRequest)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(address.port, address.host, resolve)
  await promise
  server.off('error', reject)
  server.on('error', error => console.error(`HTTP server on port ${address.port}: ${error.message}`))
  return {
    server,
    host: address.host,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>(done => server.close(() => done()))
      server.closeIdleConnections()
      const force = setTimeout(() => server.closeAllConnections(), closeGraceMs)
      await closed
      clearTimeout(force)
    },
  }
}
