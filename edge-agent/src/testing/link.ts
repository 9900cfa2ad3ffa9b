import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A network between agent and node that can be cut: TCP passed through, counted, and torn when the test says so. */
export class Link implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #cutUp = Number.POSITIVE_INFINITY
  #cutDown = Number.POSITIVE_INFINITY
  #bytesPerSecond = Number.POSITIVE_INFINITY
  /** Cuts that happened. */
  cuts = 0

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(target: string): Promise<Link> {
    const port = Number(target.split(':')[1])
    const server = createServer()
    const link = new Link(server)
    server.on('connection', near => link.#join(near, connect(port, '127.0.0.1')))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return link
  }

  get endpoint(): string {
    return `localhost:${(this.#server.address() as AddressInfo).port}`
  }

  /** Cuts once after so many further bytes towards the node (`up`) or towards the agent (`down`). */
  cutAfter(direction: 'up' | 'down', bytes: number): void {
    if (direction === 'up') this.#cutUp = bytes
    else this.#cutDown = bytes
  }

  /** Lets no more than so many bytes a second through, each way. */
  throttle(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond
  }

  /** Tears every connection now. */
  cut(): void {
    this.cuts += 1
    this.#cutUp = this.#cutDown = Number.POSITIVE_INFINITY
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  #join(near: Socket, far: Socket): void {
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from)
      from.on('error', () => {})
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
      from.on('data', bytes => {
        if (from === near) this.#cutUp -= bytes.length
        else this.#cutDown -= bytes.length
        if (this.#cutUp <= 0 || this.#cutDown <= 0) this.cut()
        else to.write(bytes)
        const millis = (bytes.length / this.#bytesPerSecond) * 1000
        if (millis > 0) {
          from.pause()
          setTimeout(() => from.resume(), millis)
        }
      })
    }
  }
}
