import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A connection in between: it can be cut, or fall silent as a dead network does, after so many bytes towards the client; 0 refuses a connection. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #faults: { readonly kind: 'cut' | 'silence'; readonly afterBytes: number }[] = []
  /** Faults that happened. */
  faults = 0

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(port: number): Promise<TcpProxy> {
    const server = createServer()
    const proxy = new TcpProxy(server)
    server.on('connection', client => proxy.#join(client, connect(port, '127.0.0.1')))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The next connection that carries so many bytes suffers this; further calls are for later connections. */
  plan(kind: 'cut' | 'silence', afterBytes: number): void {
    this.#faults.push({ kind, afterBytes })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  #join(client: Socket, upstream: Socket): void {
    if (this.#faults[0]?.afterBytes === 0) {
      this.#faults.shift()
      this.faults += 1
      for (const socket of [client, upstream]) socket.on('error', () => {}).destroy()
      return
    }
    let bytes = 0
    let silent = false
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(from)
      from.on('error', () => {})
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
      from.on('data', chunk => {
        if (silent) return
        to.write(chunk)
        if (from === client) return
        bytes += chunk.length
        const [fault] = this.#faults
        if (fault === undefined || bytes < fault.afterBytes) return
        this.#faults.shift()
        this.faults += 1
        if (fault.kind === 'silence') silent = true
        else to.end(() => from.destroy())
      })
    }
  }
}
