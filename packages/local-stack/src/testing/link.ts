import { EventEmitter, once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** `up` is towards the node, `down` towards the agent. */
type Direction = 'up' | 'down'

/** What is less only says that bytes were taken. */
const leastAnswerBytes = 300

/** A network between agent and node that can be cut: TCP passed through, counted, and torn when the test says so. */
export class Link implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #events = new EventEmitter().setMaxListeners(100)
  #cutUp = Number.POSITIVE_INFINITY
  #cutDown = Number.POSITIVE_INFINITY
  #bytesPerSecond = Number.POSITIVE_INFINITY
  #loseAfter = Number.POSITIVE_INFINITY
  #losing = false
  /** Cuts that happened. */
  cuts = 0
  /** Connections that were made. */
  connections = 0
  /** Bytes that were passed on, TLS and its handshakes included. */
  readonly passed = { up: 0, down: 0 }
  /** Bytes that were lost on their way. */
  readonly lost = { up: 0, down: 0 }

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(target: string): Promise<Link> {
    const port = Number(target.split(':')[1])
    const server = createServer()
    const link = new Link(server)
    server.on('connection', near => {
      link.connections += 1
      link.#join(near, connect(port, '127.0.0.1'))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return link
  }

  get endpoint(): string {
    return `localhost:${(this.#server.address() as AddressInfo).port}`
  }

  /** Cuts once after so many further bytes. */
  cutAfter(direction: Direction, bytes: number): void {
    if (direction === 'up') this.#cutUp = bytes
    else this.#cutDown = bytes
  }

  /** Lets no more than so many bytes a second through, each way. */
  throttle(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond
  }

  /** Once so many further bytes went up, the next answer and all that comes down after it are lost, as in a dead network; until a cut. */
  loseAnswerAfter(bytes: number): void {
    this.#loseAfter = this.passed.up + bytes
    this.#losing = false
  }

  /** Waits until a condition holds, looking again whenever something passes or is cut. */
  async until(what: string, condition: () => boolean, deadlineSeconds = 60): Promise<void> {
    const signal = AbortSignal.timeout(deadlineSeconds * 1000)
    while (!condition()) {
      await once(this.#events, 'change', { signal }).catch(() => {
        throw new Error(`waited in vain for the link: ${what}`)
      })
    }
  }

  /** Tears every connection now. */
  cut(): void {
    this.cuts += 1
    this.#cutUp = this.#cutDown = Number.POSITIVE_INFINITY
    this.#loseAfter = Number.POSITIVE_INFINITY
    this.#losing = false
    for (const socket of this.#sockets) socket.destroy()
    this.#events.emit('change')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  #join(near: Socket, far: Socket): void {
    for (const [direction, from, to] of [
      ['up', near, far],
      ['down', far, near],
    ] as const) {
      this.#sockets.add(from)
      from.on('error', () => {})
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
      from.on('data', bytes => {
        if (direction === 'up') this.#cutUp -= bytes.length
        else this.#cutDown -= bytes.length
        if (this.#cutUp <= 0 || this.#cutDown <= 0) this.cut()
        else this.#pass(direction, bytes, to)
        const millis = (bytes.length / this.#bytesPerSecond) * 1000
        if (millis > 0) {
          from.pause()
          setTimeout(() => from.resume(), millis)
        }
      })
    }
  }
  #pass(direction: Direction, bytes: Buffer, to: Socket): void {
    const isAnswer = direction === 'down' && bytes.length >= leastAnswerBytes
    if (isAnswer && this.passed.up >= this.#loseAfter) this.#losing = true
    const isLost = direction === 'down' && this.#losing
    const count = isLost ? this.lost : this.passed
    count[direction] += bytes.length
    if (!isLost) to.write(bytes)
    this.#events.emit('change')
  }
}
