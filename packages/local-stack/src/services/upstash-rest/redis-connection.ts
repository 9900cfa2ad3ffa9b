import { Redis } from 'ioredis'
import type { RedisCommand } from './commands.ts'
import type { Reply } from './reply.ts'

/** The one connection to Redis; every reply keeps its bytes. */
export class RedisConnection implements Disposable {
  readonly #redis: Redis

  constructor(url: string) {
    this.#redis = new Redis(url, {
      // Upstash answers in the shapes of RESP2.
      protocol: 2,
      maxRetriesPerRequest: 1,
      commandTimeout: 10_000,
      // Half of a transaction must not be sent again on a new connection.
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      retryStrategy: attempt => Math.min(50 * 2 ** attempt, 2000) * (0.5 + Math.random() / 2),
    })
    this.#redis.on('error', error => console.error(`Redis: ${error.message}`))
  }

  /** Resolves when the connection is there; rejects when the signal aborts first. */
  ready(signal: AbortSignal): Promise<void> {
    if (this.#redis.status === 'ready') return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#redis.once('ready', resolve)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }

  /** Faults of single commands are values here, as in Upstash's answers. */
  async pipeline(commands: readonly RedisCommand[]): Promise<Reply[]> {
    return Promise.all(commands.map(command => this.#call(command).catch((error: Error) => error)))
  }

  /** Written in one go, so that nothing comes between MULTI and EXEC. */
  async transaction(commands: readonly RedisCommand[]): Promise<Reply[]> {
    const sent = [['MULTI'], ...commands, ['EXEC']].map(command => this.#call(command as unknown as RedisCommand))
    const settled = await Promise.allSettled(sent)
    const last = settled.at(-1)
    if (last?.status === 'fulfilled' && Array.isArray(last.value)) return last.value
    throw last?.status === 'rejected' ? last.reason : new Error('ERR the transaction was discarded')
  }

  [Symbol.dispose](): void {
    this.#redis.disconnect()
  }

  #call([name, ...args]: RedisCommand): Promise<Reply> {
    return this.#redis.callBuffer(name, ...args) as Promise<Reply>
  }
}
