import { TributaryError } from '@tributary/contracts/errors'
import type { Cache } from '../../adapters/cache.ts'
import type { Clock } from '../../adapters/clock.ts'
import { networkOf } from '../../auth/limit-failures.ts'

/** Enrolments tried by one network in a window, over all instances together. A site may bring up a hundred devices at once. */
export const enrolmentsPerWindow = 300
const windowSeconds = 60
const mostNetworks = 10_000

/**
 * Limits who tries codes. The shared counter is in the cache; without it each instance counts for itself.
 * @throws TributaryError RATE_LIMITED with `retryAfterSeconds`
 */
export const enrolmentLimiter = ({ cache, clock }: { cache: Pick<Cache, 'add'>; clock: Clock }) => {
  let window = 0
  let counts = new Map<string, number>()
  return async (address: string): Promise<void> => {
    const seconds = clock.now().getTime() / 1000
    const current = Math.floor(seconds / windowSeconds)
    if (current !== window) counts = new Map()
    window = current
    const network = networkOf(address)
    const own = (counts.get(network) ?? 0) + 1
    if (counts.has(network) || counts.size < mostNetworks) counts.set(network, own)
    // Once over the limit nobody asks the cache again, so that a flood does not reach it.
    const shared =
      own > enrolmentsPerWindow ? own : await cache.add(`enrol:${network}:${current}`, 1, windowSeconds * 2)
    if (Math.max(own, shared ?? 0) <= enrolmentsPerWindow) return
    const retryAfterSeconds = Math.ceil((current + 1) * windowSeconds - seconds)
    throw new TributaryError('RATE_LIMITED', { extra: { retryAfterSeconds } })
  }
}
