import { TributaryError } from '@tributary/contracts/errors'
import type { Cache } from '../adapters/cache.ts'
import type { Clock } from '../adapters/clock.ts'
import type { SignedBy } from './signed-requests.ts'

/**
 * Takes each signed request once: its `jti` is kept in the cache for as long as the signature is good. Without the cache every
 * request is taken, since Redis is speed and never truth; a replay then repeats a request within 90 s, byte for byte.
 * @throws TributaryError UNAUTHENTICATED for a request that was there before
 */
export const replayGuard =
  ({ cache, clock }: { cache: Pick<Cache, 'addIfAbsent'>; clock: Clock }) =>
  async ({ kind, id, jti, goodUntil }: SignedBy): Promise<void> => {
    const seconds = Math.max(1, Math.ceil((goodUntil.getTime() - clock.now().getTime()) / 1000))
    if ((await cache.addIfAbsent(`signed-request:${kind}:${id}:${jti}`, seconds)) !== false) return
    throw new TributaryError('UNAUTHENTICATED', { cause: new Error(`request ${jti} was there before`) })
  }
