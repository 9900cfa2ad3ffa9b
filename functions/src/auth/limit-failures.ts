import { createHash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import type { Cache } from '../adapters/cache.ts'
import type { Clock } from '../adapters/clock.ts'
import type { Authenticator } from './authenticate.ts'
import { bearerToken } from './bearer-token.ts'
import { isSignedRequest } from './signed-requests.ts'

/** Failures of one network in a window, over all instances together. */
export const failuresPerWindow = 50
export const failureWindowSeconds = 10
const mostNetworks = 10_000
const mostKnown = 1000

/**
 * Refuses credentials of a network from which too many failed lately, before they cost a signature's verification or a query.
 *
 * The trade-off: many correct callers may share an address (NAT, one machine), and whoever floods it must not shut them out.
 * So the window is short, which lets 50 guesses through every 10 s: harmless against tokens and keys of 128 bits and more, and
 * it bounds the work. And a credential that was good at this instance before is verified all the same, so a caller who is known
 * goes on, and a new one behind a flooded address waits for a window in which it comes early.
 * The shared counter is in the cache; without it each instance counts for itself.
 * @throws TributaryError RATE_LIMITED with `retryAfterSeconds`, and whatever `authenticate` throws
 */
export const limitFailures = (
  { cache, clock }: { cache: Pick<Cache, 'add'>; clock: Clock },
  authenticate: Authenticator,
): Authenticator => {
  let window = 0
  let failures = new Map<string, number>()
  const known = new Set<string>()
  return async call => {
    const token = bearerToken(call)
    // No credential: nothing is guessed, and to say so costs nothing.
    if (token === undefined) return authenticate(call)
    const seconds = clock.now().getTime() / 1000
    const current = Math.floor(seconds / failureWindowSeconds)
    if (current !== window) failures = new Map()
    window = current
    const network = networkOf(call.sourceAddress)
    const credential = credentialOf(token)
    if ((failures.get(network) ?? 0) >= failuresPerWindow && !known.has(credential)) {
      const retryAfterSeconds = Math.ceil((current + 1) * failureWindowSeconds - seconds)
      throw new TributaryError('RATE_LIMITED', { extra: { retryAfterSeconds } })
    }
    try {
      const principal = await authenticate(call)
      remember(known, credential)
      return principal
    } catch (error) {
      if (isFailure(error)) {
        const own = (failures.get(network) ?? 0) + 1
        const shared = await cache.add(`auth-failures:${network}:${current}`, 1, failureWindowSeconds * 2)
        if (failures.has(network) || failures.size < mostNetworks) failures.set(network, Math.max(own, shared ?? 0))
      }
      throw error
    }
  }
}

const failureCodes: ReadonlySet<string> = new Set([
  'UNAUTHENTICATED',
  'API_KEY_EXPIRED',
  'API_KEY_REVOKED',
  'CERTIFICATE_EXPIRED',
  'CERTIFICATE_REVOKED',
])

const isFailure = (error: unknown): boolean => error instanceof TributaryError && failureCodes.has(error.code)

/** What stays the same over the requests of a holder: a token, or the header of its signatures, which holds the certificate. */
const credentialOf = (token: string): string =>
  createHash('sha256')
    .update(isSignedRequest(token) ? (token.split('.')[0] ?? '') : token)
    .digest('base64')

const remember = (known: Set<string>, credential: string): void => {
  known.delete(credential)
  known.add(credential)
  const [oldest] = known
  if (known.size > mostKnown && oldest !== undefined) known.delete(oldest)
}

/** An IPv4 address; the first 64 bits of an IPv6 address, since one subscriber has them all (RFC 6177). */
export const networkOf = (address: string): string => {
  if (!address.includes(':') || address.includes('.')) return address
  const [head = ''] = address.split('::')
  return [...head.split(':'), '0', '0', '0'].slice(0, 4).join(':')
}
