import { createServer, type Server, type Socket } from 'node:net'

/** How long a connection may take to say its first word. */
const mostSilentMillis = 10_000

export type ConnectionLimits = {
  /** Connections beyond are refused. */
  readonly mostConnections: number
  /** How long one may take to say its first word. */
  readonly silentMillis?: number
}

/**
 * Takes connections and hands each on once it has said something. Node reads the first words of a TLS connection into 64 KiB that the
 * connection keeps for as long as it lives, and into 16 KiB where they have come already. Who says nothing costs no TLS at all.
 */
export class ConnectionListener {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #silentMillis: number
  readonly #handOn: (socket: Socket) => void

  /** @param handOn takes a connection whose first bytes wait to be read */
  constructor(
    { mostConnections, silentMillis = mostSilentMillis }: ConnectionLimits,
    handOn: (socket: Socket) => void,
  ) {
    this.#silentMillis = silentMillis
    this.#handOn = handOn
    this.#server = createServer({ noDelay: true }, socket => this.#take(socket))
    this.#server.maxConnections = mostConnections
  }

  /** Connections that are there, whether they have said something or not. */
  get connections(): number {
    return this.#sockets.size
  }

  /** Resolves with the port that it listens on. */
  listen({ host, port }: { host: string; port: number }): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject)
        // From now on an error is of one connection that could not be taken, for want of descriptors.
        this.#server.on('error', () => {})
        const address = this.#server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : port)
      })
    })
  }

  /** Takes no more connections and waits until those that are there have ended; at the deadline they are cut. */
  async close(deadline: AbortSignal): Promise<void> {
    const ended = new Promise<void>(resolve => this.#server.close(() => resolve()))
    const cut = () => {
      for (const socket of this.#sockets) socket.destroy()
    }
    if (deadline.aborted) cut()
    else deadline.addEventListener('abort', cut, { once: true })
    await ended
    deadline.removeEventListener('abort', cut)
  }

  #take(socket: Socket): void {
    this.#sockets.add(socket)
    const silent = setTimeout(() => socket.destroy(), this.#silentMillis)
    socket.once('close', () => {
      clearTimeout(silent)
      this.#sockets.delete(socket)
    })
    // Whoever has the connection sees it end; an error that nobody hears would end the process.
    socket.on('error', () => {})
    // Also told of a connection that ends without a word.
    socket.once('readable', () => {
      clearTimeout(silent)
      if (socket.readableLength > 0) this.#handOn(socket)
      else socket.destroy()
    })
  }
}
