import { TributaryError } from '@tributary/contracts/errors'
import type { Cache } from '../adapters/cache.ts'
import type { Clock } from '../adapters/clock.ts'
import type { Principal } from '../auth/principal.ts'
import { principalName } from '../auth/principal.ts'

/** Requests of one principal in a window, over all instances together. */
export const requestsPerWindow = 6000
export const windowSeconds = 60
/** An instance asks the shared counter once in so many requests: the limit is coarse, hot reads stay fast. */
const stride = 20

type Count = { window: number; own: number; shared: number }

/**
 * Counts requests per principal in fixed windows. The shared counter is in the cache; without it each instance counts
 * for itself, so that losing the cache loosens the limit and refuses nobody.
 * @throws TributaryError RATE_LIMITED with `retryAfterSeconds`
 */
export const rateLimiter = ({ cache, clock }: { cache: Pick<Cache, 'add'>; clock: Clock }) => {
  const counts = new Map<string, Count>()
  return async (principal: Principal): Promise<void> => {
    const seconds = clock.now().getTime() / 1000
    const window = Math.floor(seconds / windowSeconds)
    const name = principalName(principal)
    const count = counterOf(counts, name, window)
    count.own += 1
    if (count.own % stride === 0) {
      count.shared = (await cache.add(`rate:${name}:${window}`, stride, windowSeconds * 2)) ?? count.shared
    }
    if (Math.max(count.own, count.shared) > requestsPerWindow) {
      const retryAfterSeconds = Math.ceil((window + 1) * windowSeconds - seconds)
      throw new TributaryError('RATE_LIMITED', { extra: { retryAfterSeconds } })
    }
  }
}

const counterOf = (counts: Map<string, Count>, name: string, window: number): Count => {
  const found = counts.get(name)
  if (found?.window === window) return found
  // Principals are known ones (tokens, certificates, one anonymous): the map is bounded by what exists.
  const fresh = { window, own: 0, shared: 0 }
  counts.set(name, fresh)
  return fresh
}
