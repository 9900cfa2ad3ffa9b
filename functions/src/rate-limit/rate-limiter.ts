import { TributaryError } from '@tributary/contracts/errors'
import type { Cache } from '../adapters/cache.ts'
import type { Clock } from '../adapters/clock.ts'
import { networkOf } from '../auth/limit-failures.ts'
import type { Principal } from '../auth/principal.ts'
import { principalName } from '../auth/principal.ts'
import type { ApiCall } from '../http/api-call.ts'

/** Requests of one principal in a window, over all instances together. */
export const requestsPerWindow = 6000
/** Requests of one network to the public routes in a window: its own count, so that no network uses up what others have. */
export const publicRequestsPerWindow = 1200
export const windowSeconds = 60
/**
 * An instance asks the shared counter this often on its way to the limit: so the limit is coarse, by a thirtieth for each instance, and
 * fewer than one in a hundred requests wait for the cache.
 */
const looks = 30
/** Whoever comes from more networks than this in a window shares one count with the rest of them. */
const mostCounts = 10_000

type Count = { own: number; shared: number }

/**
 * Counts requests in fixed windows: by principal, and by network where nobody says who it is. The shared counter is in the cache;
 * without it each instance counts for itself, so that losing the cache loosens the limit and refuses nobody.
 * @throws TributaryError RATE_LIMITED with `retryAfterSeconds`
 */
export const rateLimiter = ({ cache, clock }: { cache: Pick<Cache, 'add'>; clock: Clock }) => {
  let window = 0
  let counts = new Map<string, Count>()
  return async (principal: Principal, call: Pick<ApiCall, 'sourceAddress'>): Promise<void> => {
    const seconds = clock.now().getTime() / 1000
    const current = Math.floor(seconds / windowSeconds)
    if (current !== window) counts = new Map()
    window = current
    const isPublic = principal.kind === 'anonymous'
    const asked = isPublic ? `network:${networkOf(call.sourceAddress)}` : principalName(principal)
    const name = counts.has(asked) || counts.size < mostCounts ? asked : 'others'
    const most = isPublic ? publicRequestsPerWindow : requestsPerWindow
    const count = counts.get(name) ?? { own: 0, shared: 0 }
    counts.set(name, count)
    count.own += 1
    const stride = most / looks
    // Once over the limit nobody asks the cache again, so that a flood does not reach it.
    if (count.own % stride === 0 && Math.max(count.own, count.shared) <= most) {
      count.shared = (await cache.add(`rate:${name}:${window}`, stride, windowSeconds * 2)) ?? count.shared
    }
    if (Math.max(count.own, count.shared) > most) {
      const retryAfterSeconds = Math.ceil((window + 1) * windowSeconds - seconds)
      throw new TributaryError('RATE_LIMITED', { extra: { retryAfterSeconds } })
    }
  }
}
