import { setTimeout as sleep } from 'node:timers/promises'
import { amqpNames } from '@tributary/contracts/amqp'
import { type MessageData, type MessageType, makeMessage } from '@tributary/contracts/envelope'
import { type CentralEvents, centralEvents } from '@tributary/contracts/events'
import type { ConfirmChannel } from 'amqplib'
import { v7 as uuidv7 } from 'uuid'
import { backoffMillis } from '../clock.ts'
import type { NodeMetrics } from '../health/node-metrics.ts'
import type { Logger } from '../journal/logger.ts'

const confirmMillis = 15_000

/** Publishes events to central with publisher confirms, over whatever channel is open now. */
export class EventPublisher {
  readonly #source: string
  readonly #metrics: NodeMetrics
  readonly #logger: Logger
  #channel: ConfirmChannel | undefined
  #opened = Promise.withResolvers<void>()

  constructor(node: string, metrics: NodeMetrics, logger: Logger) {
    this.#source = `regional-node/${node}`
    this.#metrics = metrics
    this.#logger = logger
  }

  /** The channel to publish on from now on; undefined while there is none. */
  use(channel: ConfirmChannel | undefined): void {
    this.#channel = channel
    if (channel === undefined) return
    channel.once('close', () => {
      if (this.#channel === channel) this.#channel = undefined
    })
    this.#opened.resolve()
    this.#opened = Promise.withResolvers()
  }

  /** Publishes until the broker confirms; the id stays the same over all tries, so that central takes the event once. */
  async publish<Type extends MessageType<CentralEvents>>(
    type: Type,
    data: MessageData<CentralEvents, Type>,
    signal: AbortSignal,
  ): Promise<void> {
    const origin = { id: uuidv7(), source: this.#source, time: new Date() }
    const content = Buffer.from(JSON.stringify(makeMessage(centralEvents, type, data, origin)))
    for (let tries = 0; ; tries += 1) {
      signal.throwIfAborted()
      try {
        await this.#confirmed(type, content, origin.id, signal)
        this.#metrics.events.add({ type })
        return
      } catch (error) {
        signal.throwIfAborted()
        this.#logger.warn({ err: error, type }, 'an event was not confirmed')
        await sleep(backoffMillis(tries, 100, 5000), undefined, { signal })
      }
    }
  }

  async #confirmed(type: string, content: Buffer, messageId: string, signal: AbortSignal): Promise<void> {
    const channel = this.#channel ?? (await this.#awaitChannel(signal))
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const options = { persistent: true, contentType: 'application/cloudevents+json', messageId, type }
    channel.publish(amqpNames.events, type, content, options, error => {
      if (error === null || error === undefined) resolve()
      else reject(error)
    })
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(confirmMillis)])
    const onAbort = () => reject(deadline.reason)
    deadline.addEventListener('abort', onAbort, { once: true })
    try {
      await promise
    } finally {
      deadline.removeEventListener('abort', onAbort)
    }
  }

  async #awaitChannel(signal: AbortSignal): Promise<ConfirmChannel> {
    const { promise, reject } = Promise.withResolvers<never>()
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      while (this.#channel === undefined) await Promise.race([this.#opened.promise, promise])
      return this.#channel
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }
}
