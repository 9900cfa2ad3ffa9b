import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import type { Principal } from '../auth/principal.ts'
import { rateLimiter, requestsPerWindow } from './rate-limiter.ts'

const who = (name: string): Principal => ({ kind: 'token', name, role: 'viewer' })

/** A cache in memory that several limiters share, or one that never answers. */
const cacheOf = (counts: Map<string, number> | null) => ({
  add: async (key: string, amount: number) => {
    if (counts === null) return null
    counts.set(key, (counts.get(key) ?? 0) + amount)
    return counts.get(key) ?? null
  },
})
const refused = (error: unknown) => error instanceof TributaryError && error.code === 'RATE_LIMITED'
const use = async (limit: (principal: Principal) => Promise<void>, principal: Principal, times: number) => {
  for (let n = 0; n < times; n += 1) await limit(principal)
}

test('refuses one principal beyond its number, no other, and admits it in the next window', async () => {
  const time = { now: new Date(1_000_000 * 60_000 + 15_000) }
  const limit = rateLimiter({ cache: cacheOf(null), clock: { now: () => time.now } })
  await use(limit, who('a'), requestsPerWindow)
  await assert.rejects(limit(who('a')), (error: unknown) => {
    assert.ok(refused(error))
    assert.equal((error as TributaryError).extra.retryAfterSeconds, 45)
    return true
  })
  await limit(who('b'))
  time.now = new Date(time.now.getTime() + 45_000)
  await limit(who('a'))
})

test('counts the requests of all instances together while the cache answers', async () => {
  const counts = new Map<string, number>()
  const clock = { now: () => new Date(0) }
  const one = rateLimiter({ cache: cacheOf(counts), clock })
  const two = rateLimiter({ cache: cacheOf(counts), clock })
  await use(one, who('a'), requestsPerWindow / 2)
  await use(two, who('a'), requestsPerWindow / 2)
  await assert.rejects(use(two, who('a'), 20), refused)
})
