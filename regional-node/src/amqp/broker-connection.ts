import { setTimeout as sleep } from 'node:timers/promises'
import { amqpLimits } from '@tributary/contracts/amqp'
import { type ChannelModel, connect } from 'amqplib'
import { backoffMillis } from '../clock.ts'
import type { Logger } from '../journal/logger.ts'

const connectMillis = 10_000

/** Sets up what a session needs (topology, consumers) and returns when that is done. */
export type OpenSession = (connection: ChannelModel) => Promise<void>

/**
 * Keeps one connection to RabbitMQ: opens it, hands it to `openSession`, and when it breaks opens it again with a jittered
 * back-off, for as long as the node lives.
 */
export class BrokerConnection {
  readonly #url: string
  readonly #name: string
  readonly #logger: Logger
  readonly #openSession: OpenSession
  readonly #stop = new AbortController()
  #connection: ChannelModel | undefined
  #running: Promise<void> | undefined

  constructor(url: string, name: string, logger: Logger, openSession: OpenSession) {
    this.#url = url
    this.#name = name
    this.#logger = logger
    this.#openSession = openSession
  }

  get isConnected(): boolean {
    return this.#connection !== undefined
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#connection?.close().catch(() => {})
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    for (let tries = 0; !signal.aborted; tries += 1) {
      try {
        const connection = await this.#connect()
        const closed = new Promise<void>(resolve => connection.once('close', () => resolve()))
        // Without a listener an error event ends the process.
        connection.on('error', (error: unknown) => this.#logger.warn({ err: error }, 'the broker connection broke'))
        try {
          await this.#openSession(connection)
          signal.throwIfAborted()
        } catch (error) {
          await connection.close().catch(() => {})
          throw error
        }
        this.#connection = connection
        this.#logger.info('connected to the broker')
        tries = 0
        await closed
        if (!signal.aborted) this.#logger.warn('the broker connection is closed')
      } catch (error) {
        if (!signal.aborted) this.#logger.warn({ err: error, tries }, 'no connection to the broker')
      } finally {
        this.#connection = undefined
      }
      await sleep(backoffMillis(tries, 200, 10_000), undefined, { signal }).catch(() => {})
    }
  }

  #connect(): Promise<ChannelModel> {
    const url = new URL(this.#url)
    url.searchParams.set('heartbeat', `${amqpLimits.heartbeatSeconds}`)
    const clientProperties = { connection_name: this.#name }
    return connect(url.href, { timeout: connectMillis, noDelay: true, clientProperties })
  }
}
