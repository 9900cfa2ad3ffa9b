import { setTimeout as delay, setImmediate } from 'node:timers/promises'
import { amqpLimits, amqpTopology } from '@tributary/contracts/amqp'
import { type Channel, type ConsumeMessage, connect } from 'amqplib'
import type { FunctionPool } from './function-pool.ts'
import { payloadLimits } from './invocation.ts'
import { rabbitEvent } from './rabbit-event.ts'

export interface QueueSourceOptions {
  readonly amqpUrl: string
  readonly pool: FunctionPool
  readonly batchSize: number
  readonly region: string
  readonly onTrouble: (message: string) => void
}

const firstBackoffMs = 200
const longestBackoffMs = 5000
const drainMs = 3000

/**
 * The event source mapping of `central.events`: batches of deliveries go to the function, one batch at a time as Lambda does for
 * RabbitMQ; acknowledged after success, given back after a failure (the queue dead-letters at its delivery limit). It connects
 * again for as long as it lives.
 */
export class QueueSource implements AsyncDisposable {
  readonly #options: QueueSourceOptions
  readonly #stopping = new AbortController()
  readonly #done: Promise<void>
  readonly #connected = Promise.withResolvers<void>()

  constructor(options: QueueSourceOptions) {
    this.#options = options
    this.#done = this.#live()
  }

  /** Resolves when it consumes for the first time. */
  get connected(): Promise<void> {
    return this.#connected.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#done
  }

  async #live(): Promise<void> {
    const { signal } = this.#stopping
    let backoffMs = firstBackoffMs
    while (!signal.aborted) {
      const startedAt = Date.now()
      try {
        await this.#consume(signal)
      } catch (error) {
        if (!signal.aborted) this.#options.onTrouble(`RabbitMQ event source: ${(error as Error).message}`)
      }
      backoffMs = Date.now() - startedAt > 10_000 ? firstBackoffMs : Math.min(backoffMs * 2, longestBackoffMs)
      await pause(backoffMs, signal)
    }
  }

  /** One connection from its opening to its end. */
  async #consume(signal: AbortSignal): Promise<void> {
    const { amqpUrl, batchSize } = this.#options
    const url = new URL(amqpUrl)
    url.searchParams.set('heartbeat', String(amqpLimits.heartbeatSeconds))
    const connection = await connect(url.href, { timeout: 10_000, noDelay: true })
    const lost = Promise.withResolvers<never>()
    lost.promise.catch(() => undefined)
    const broken = (error?: Error) => lost.reject(error ?? new Error('the connection was closed'))
    connection.on('error', broken)
    connection.on('close', broken)
    const interrupted = () => broken(new Error('stopped'))
    signal.addEventListener('abort', interrupted, { once: true })
    if (signal.aborted) interrupted()
    let batches: Batches | undefined
    try {
      const channel = await Promise.race([connection.createChannel(), lost.promise])
      channel.on('error', broken)
      channel.on('close', broken)
      await Promise.race([declare(channel), lost.promise])
      await Promise.race([channel.prefetch(batchSize), lost.promise])
      const taking = new Batches(batchSize, deliveries => this.#handle(channel, deliveries, signal))
      batches = taking
      const consumer = channel.consume(amqpTopology.centralEvents.queue, message => {
        if (message) taking.add(message)
        else broken(new Error('the broker cancelled the consumer'))
      })
      await Promise.race([consumer, lost.promise])
      this.#connected.resolve()
      await lost.promise
    } finally {
      signal.removeEventListener('abort', interrupted)
      // The batch in the function's hands may still be acknowledged.
      await Promise.race([batches?.stop(), delay(drainMs, undefined, { ref: false })])
      await Promise.race([connection.close().catch(() => undefined), delay(2000, undefined, { ref: false })])
    }
  }

  async #handle(channel: Channel, deliveries: readonly ConsumeMessage[], signal: AbortSignal): Promise<void> {
    const { pool, amqpUrl, region, onTrouble } = this.#options
    const { queue } = amqpTopology.centralEvents
    let failure: string | undefined
    try {
      const event = rabbitEvent(deliveries, queue, vhostOf(amqpUrl), region)
      const payload = Buffer.from(JSON.stringify(event))
      if (payload.length > payloadLimits.synchronous) throw new Error(`a batch of ${payload.length} bytes`)
      const result = await pool.invoke(payload, 'unbounded')
      if (result.errorType !== undefined) {
        failure = `${result.errorType} ${result.payload.toString('utf8').slice(0, 300)}`
      }
    } catch (error) {
      failure = (error as Error).message
    }
    if (failure === undefined) return settle(channel, deliveries, true)
    onTrouble(`${deliveries.length} events go back to ${queue}: ${failure}`)
    const before = Math.max(0, ...deliveries.map(deliveryCount))
    await pause(Math.min(firstBackoffMs * 2 ** before, longestBackoffMs), signal)
    settle(channel, deliveries, false)
  }
}

/** Collects deliveries and hands them on, never two batches at once. */
class Batches {
  readonly #waiting: ConsumeMessage[] = []
  readonly #size: number
  readonly #handle: (deliveries: readonly ConsumeMessage[]) => Promise<void>
  #running: Promise<void> | undefined
  #stopped = false

  constructor(size: number, handle: (deliveries: readonly ConsumeMessage[]) => Promise<void>) {
    this.#size = size
    this.#handle = handle
  }

  add(delivery: ConsumeMessage): void {
    if (this.#stopped) return
    this.#waiting.push(delivery)
    this.#running ??= this.#run()
  }

  /** Takes nothing more; resolves when the batch under way is handled. The others go back with the connection. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#waiting.length = 0
    await this.#running
  }

  async #run(): Promise<void> {
    // After this turn, so that deliveries of the same read make one batch.
    await setImmediate()
    while (this.#waiting.length > 0) await this.#handle(this.#waiting.splice(0, this.#size))
    this.#running = undefined
  }
}

async function declare(channel: Channel): Promise<void> {
  const { events, deadLetters, centralEvents, deadLetterQueue } = amqpTopology
  for (const { exchange, type, options } of [events, deadLetters]) await channel.assertExchange(exchange, type, options)
  for (const { queue, options, bindings } of [centralEvents, deadLetterQueue]) {
    await channel.assertQueue(queue, options)
    for (const { exchange, routingKey } of bindings) await channel.bindQueue(queue, exchange, routingKey)
  }
}

/** A channel that is gone has given everything back already. */
function settle(channel: Channel, deliveries: readonly ConsumeMessage[], done: boolean): void {
  try {
    for (const delivery of deliveries) {
      if (done) channel.ack(delivery)
      // `reject`: only that counts towards the delivery limit in every version of the broker.
      else channel.reject(delivery, true)
    }
  } catch {}
}

/** How often a quorum queue has delivered this message before. */
function deliveryCount({ properties }: ConsumeMessage): number {
  const count: unknown = properties.headers?.['x-delivery-count']
  return typeof count === 'number' ? count : 0
}

function vhostOf(amqpUrl: string): string {
  return decodeURIComponent(new URL(amqpUrl).pathname.slice(1)) || '/'
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined)
}
