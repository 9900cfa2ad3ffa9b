import { amqpLimits, amqpTopology } from '@tributary/contracts/amqp'
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib'
import type { Log } from '../log.ts'

const connectMillis = 5000
/** After a freeze the broker has given the connection up: two heartbeats missed. */
const idleMillis = amqpLimits.heartbeatSeconds * 2 * 1000

type Open = { readonly model: ChannelModel; readonly channel: ConfirmChannel; usedAt: number }

/** One connection to RabbitMQ that is kept while the instance is warm and thrown away after freezes and failures. */
export class BrokerConnection implements AsyncDisposable {
  readonly #url: string
  readonly #log: Log
  #open: Open | undefined

  constructor(options: { url: string; log: Log }) {
    this.#url = options.url
    this.#log = options.log
  }

  /** A channel with publisher confirms on which exchanges and the queues of central are declared. */
  async channel(): Promise<ConfirmChannel> {
    if (this.#open !== undefined && Date.now() - this.#open.usedAt > idleMillis) this.discard()
    this.#open ??= await this.#connect()
    this.#open.usedAt = Date.now()
    return this.#open.channel
  }

  /** Drops the connection without a word: the other side may not be there any more. */
  discard(): void {
    const open = this.#open
    this.#open = undefined
    if (open !== undefined) destroy(open.model)
  }

  async #connect(): Promise<Open> {
    const url = new URL(this.#url)
    url.searchParams.set('heartbeat', String(amqpLimits.heartbeatSeconds))
    const model = await connect(url.href, { timeout: connectMillis, noDelay: true })
    // Without these listeners a lost connection would end the process.
    model.on('error', error => this.#log.warn({ error }, 'the connection to RabbitMQ broke'))
    model.on('close', () => {
      if (this.#open?.model === model) this.#open = undefined
    })
    try {
      const channel = await model.createConfirmChannel()
      channel.on('error', error => {
        this.#log.warn({ error }, 'the channel to RabbitMQ broke')
        if (this.#open?.model === model) this.discard()
      })
      await declareTopology(channel)
      return { model, channel, usedAt: Date.now() }
    } catch (error) {
      destroy(model)
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.#open
    this.#open = undefined
    await open?.model.close().catch(() => undefined)
  }
}

/** Closing politely would wait for an answer that may never come; the stream is not in the types. */
const destroy = (model: ChannelModel): void => {
  const connection = model.connection as { stream?: { destroy(): void } }
  connection.stream?.destroy()
}

/** What central publishes to and what its consumer reads; declaring again what is there changes nothing. */
const declareTopology = async (channel: ConfirmChannel): Promise<void> => {
  const { commands, events, deadLetters, centralEvents, deadLetterQueue } = amqpTopology
  for (const { exchange, type, options } of [commands, events, deadLetters]) {
    await channel.assertExchange(exchange, type, options)
  }
  for (const { queue, options, bindings } of [deadLetterQueue, centralEvents]) {
    await channel.assertQueue(queue, options)
    for (const { exchange, routingKey } of bindings) await channel.bindQueue(queue, exchange, routingKey)
  }
}
