import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

type Side = 'client' | 'server'

/** What is wrong with a link. Bytes are counted for each connection and direction, from when the fault began. */
export type LinkFault =
  /** Whatever passes comes so much later. */
  | { readonly kind: 'delay'; readonly millis: number }
  /** So much passes each way of a connection, at most. */
  | { readonly kind: 'slow'; readonly bytesPerSecond: number }
  /** Connections end in the middle of what is sent. */
  | { readonly kind: 'cut'; readonly atByte: number }
  /** A bit is another one, once a connection and direction. */
  | { readonly kind: 'corrupt'; readonly atByte: number }
  /** A piece comes twice, once a connection and direction. */
  | { readonly kind: 'duplicate'; readonly atByte: number }
  /** Nothing comes to this side any more, and nobody is told: whoever is connected meanwhile stays deaf. */
  | { readonly kind: 'one-way'; readonly deaf: Side }

/** One direction of a connection. */
type Way = { readonly to: Side; fault: LinkFault | undefined; bytes: number; isStruck: boolean; isDeaf: boolean }
type Planned = { readonly kind: 'cut' | 'silence'; readonly afterBytes: number }

/** Pieces in which a slow link passes what it is given. */
const slowPieceBytes = 4096

/** A connection in between, as good or bad as a test says. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #target: number
  readonly #sockets = new Set<Socket>()
  readonly #planned: Planned[] = []
  /** From now on the link is so, for what is connected as well; undefined: as it should be. */
  fault: LinkFault | undefined
  /** How often a fault came upon a connection, a direction of it, or with `delay`, `slow` and `one-way` upon what it carried. */
  faults = 0
  connections = 0
  /** Bytes that were passed on, over all connections. */
  readonly passed: Record<Side, number> = { client: 0, server: 0 }

  private constructor(server: Server, target: number) {
    this.#server = server
    this.#target = target
  }

  /** @param at where it listens; @default a free port */
  static async open(target: number, at = 0): Promise<TcpProxy> {
    const server = createServer()
    const proxy = new TcpProxy(server, target)
    server.on('connection', client => proxy.#join(client))
    server.listen(at, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /**
   * The next connection that carries so many bytes towards the client suffers this; further calls are for later connections. 0 refuses a
   * connection. `silence` is what a dead network does.
   */
  plan(kind: Planned['kind'], afterBytes: number): void {
    this.#planned.push({ kind, afterBytes })
  }

  /** Ends all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.cut()
    await once(this.#server, 'close')
  }

  #join(client: Socket): void {
    this.connections += 1
    if (this.#planned[0]?.afterBytes === 0) {
      this.#planned.shift()
      this.faults += 1
      client.on('error', () => {}).destroy()
      return
    }
    const upstream = connect(this.#target, '127.0.0.1')
    const silenced = new AbortController()
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.#sockets.delete(socket))
    }
    void this.#carry(client, upstream, 'server', silenced)
    void this.#carry(upstream, client, 'client', silenced)
  }

  /** In order, and with no more at hand than the other side takes. */
  async #carry(from: Socket, to: Socket, side: Side, silenced: AbortController): Promise<void> {
    const way: Way = { to: side, fault: undefined, bytes: 0, isStruck: false, isDeaf: false }
    let carried = 0
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        for await (const piece of this.#suffer(chunk, way)) {
          if (silenced.signal.aborted) continue
          if (to.destroyed) return
          this.passed[side] += piece.byteLength
          carried += piece.byteLength
          if (!to.write(piece)) await Promise.race([once(to, 'drain'), once(to, 'close')])
        }
        const [planned] = this.#planned
        if (side === 'server' || silenced.signal.aborted || planned === undefined || carried < planned.afterBytes)
          continue
        this.#planned.shift()
        this.faults += 1
        if (planned.kind === 'cut') break
        silenced.abort()
      }
    } catch {
      // One side is gone, or the link is cut.
    } finally {
      from.destroySoon()
      if (!way.isDeaf) to.destroySoon()
    }
  }

  /** What is passed on of what comes. @throws Error where the connection ends */
  async *#suffer(chunk: Buffer, way: Way): AsyncGenerator<Buffer> {
    const { fault } = this
    if (way.fault !== fault) Object.assign(way, { fault, bytes: 0, isStruck: false })
    const at = fault !== undefined && 'atByte' in fault ? fault.atByte - way.bytes : 0
    way.bytes += chunk.byteLength
    const isStruck = fault !== undefined && !way.isStruck && at < chunk.byteLength
    if (isStruck && (fault.kind !== 'one-way' || fault.deaf === way.to)) {
      way.isStruck = true
      way.isDeaf = fault.kind === 'one-way'
      this.faults += 1
    }
    if (way.isDeaf) return
    if (fault === undefined) yield chunk
    else if (fault.kind === 'delay') {
      await delay(fault.millis)
      yield chunk
    } else if (fault.kind === 'slow') yield* slowly(chunk, fault.bytesPerSecond)
    else if (fault.kind === 'one-way' || !isStruck) yield chunk
    else {
      yield chunk.subarray(0, at)
      const rest = chunk.subarray(at)
      if (fault.kind === 'cut') throw new Error('the link is cut')
      if (fault.kind === 'corrupt') rest.writeUInt8(rest.readUInt8(0) ^ 0x10, 0)
      else yield rest
      yield rest
    }
  }
}

async function* slowly(chunk: Buffer, bytesPerSecond: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < chunk.byteLength; at += slowPieceBytes) {
    const piece = chunk.subarray(at, at + slowPieceBytes)
    yield piece
    await delay((piece.byteLength / bytesPerSecond) * 1000)
  }
}
