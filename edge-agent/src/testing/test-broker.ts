import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { Aedes, type PublishPacket } from 'aedes'
import type { TestAuthority } from './certificates.ts'
import { device } from './federation.ts'

/** A broker that lets nobody in without a certificate of the authority. */
export class TestBroker implements AsyncDisposable {
  readonly aedes: Aedes
  readonly #server: Server
  readonly #sockets = new Set<TLSSocket>()

  private constructor(aedes: Aedes, server: Server) {
    this.aedes = aedes
    this.#server = server
    server.on('secureConnection', socket => {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      aedes.handle(socket)
    })
  }

  static async start(authority: TestAuthority): Promise<TestBroker> {
    const { certificate, key } = await authority.issue('broker', 'service')
    const aedes = await Aedes.createBroker()
    const server = createServer({
      cert: certificate,
      key,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TestBroker(aedes, server)
  }

  get url(): string {
    return `mqtts://localhost:${(this.#server.address() as AddressInfo).port}`
  }

  publish(topic: string, payload: string | Buffer): void {
    const packet = { cmd: 'publish', topic, payload, qos: 1, retain: false, dup: false } as unknown as PublishPacket
    this.aedes.publish(packet, () => {})
  }

  /** The same without asking for an answer; resolves when the broker has handed it on. */
  deliver(topic: string, payload: string): Promise<void> {
    const packet = { cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false } as unknown as PublishPacket
    return new Promise(resolve => this.aedes.publish(packet, () => resolve()))
  }

  /** Waits until the device listens. */
  async subscribed(): Promise<void> {
    await once(this.aedes, 'subscribe', { signal: AbortSignal.timeout(60_000) })
  }

  /** The next packet of the device's status topic. */
  async status(): Promise<{ state: string; retain: boolean }> {
    for (;;) {
      const [packet] = (await once(this.aedes, 'publish', { signal: AbortSignal.timeout(10_000) })) as [PublishPacket]
      if (packet.topic === `fl/v1/d/${device}/up/status`)
        return { ...JSON.parse(packet.payload.toString()), retain: packet.retain }
    }
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.#server.close()
    await new Promise<void>(resolve => this.aedes.close(() => resolve()))
  }
}
