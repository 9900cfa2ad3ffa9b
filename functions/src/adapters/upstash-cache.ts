import { Redis } from '@upstash/redis'
import type { Log } from '../log.ts'
import type { Cache } from './cache.ts'

const deadlineMillis = 500
/** After a failure the service is left alone for a while, so that a dead cache does not slow every request. */
const restMillis = 5000

/** Redis behind Upstash's REST protocol. */
export class UpstashCache implements Cache {
  readonly #redis: Redis
  readonly #log: Log
  #restsUntil = 0

  constructor(options: { url: string; token: string; log: Log }) {
    this.#redis = new Redis({
      url: options.url,
      token: options.token,
      automaticDeserialization: false,
      enableTelemetry: false,
      retry: false,
      signal: () => AbortSignal.timeout(deadlineMillis),
    })
    this.#log = options.log
  }

  get(key: string): Promise<string | null> {
    return this.#orNull(() => this.#redis.get<string>(key))
  }

  async set(key: string, value: string, seconds: number): Promise<void> {
    await this.#orNull(() => this.#redis.set(key, value, { ex: seconds }))
  }

  add(key: string, amount: number, seconds: number): Promise<number | null> {
    return this.#orNull(async () => {
      const [count] = await this.#redis
        .pipeline()
        .incrby(key, amount)
        .expire(key, seconds, 'NX')
        .exec<[number, number]>()
      return Number(count)
    })
  }

  addIfAbsent(key: string, seconds: number): Promise<boolean | null> {
    return this.#orNull(async () => (await this.#redis.set(key, '1', { ex: seconds, nx: true })) === 'OK')
  }

  async ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await this.#redis.ping()
  }

  async #orNull<T>(work: () => Promise<T>): Promise<T | null> {
    if (Date.now() < this.#restsUntil) return null
    try {
      return await work()
    } catch (error) {
      this.#restsUntil = Date.now() + restMillis
      this.#log.warn({ error }, 'the cache does not answer; going on without it')
      return null
    }
  }
}
