import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import type { Principal } from '../auth/principal.ts'
import { publicRequestsPerWindow, rateLimiter, requestsPerWindow } from './rate-limiter.ts'

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
type Limit = ReturnType<typeof rateLimiter>
const from = (sourceAddress: string) => ({ sourceAddress })
const use = async (limit: Limit, principal: Principal, times: number, address = '192.0.2.1') => {
  for (let n = 0; n < times; n += 1) await limit(principal, from(address))
}

test('refuses one principal beyond its number, no other, and admits it in the next window', async () => {
  const time = { now: new Date(1_000_000 * 60_000 + 15_000) }
  const limit = rateLimiter({ cache: cacheOf(null), clock: { now: () => time.now } })
  await use(limit, who('a'), requestsPerWindow)
  await assert.rejects(limit(who('a'), from('192.0.2.1')), (error: unknown) => {
    assert.ok(refused(error))
    assert.equal((error as TributaryError).extra.retryAfterSeconds, 45)
    return true
  })
  await limit(who('b'), from('192.0.2.1'))
  time.now = new Date(time.now.getTime() + 45_000)
  await limit(who('a'), from('192.0.2.1'))
})

test('counts the requests of all instances together while the cache answers', async () => {
  const counts = new Map<string, number>()
  const clock = { now: () => new Date(0) }
  const one = rateLimiter({ cache: cacheOf(counts), clock })
  const two = rateLimiter({ cache: cacheOf(counts), clock })
  await use(one, who('a'), requestsPerWindow / 2)
  await use(two, who('a'), requestsPerWindow / 2)
  await assert.rejects(use(two, who('a'), requestsPerWindow / 30), refused)
})

const nobody: Principal = { kind: 'anonymous' }

test('counts the public routes by network, so that none uses up what others have, with the cache and without it', async () => {
  for (const counts of [new Map<string, number>(), null]) {
    const limit = rateLimiter({ cache: cacheOf(counts), clock: { now: () => new Date(0) } })
    await use(limit, nobody, publicRequestsPerWindow, '192.0.2.1')
    await assert.rejects(limit(nobody, from('192.0.2.1')), refused)
    await limit(nobody, from('192.0.2.2'))
    await limit(who('a'), from('192.0.2.1'))
    // One subscriber of IPv6 has the last 64 bits to himself.
    await use(limit, nobody, publicRequestsPerWindow, '2001:db8:0:1::1')
    await assert.rejects(limit(nobody, from('2001:db8:0:1:ffff::9')), refused)
    await limit(nobody, from('2001:db8:0:2::1'))
  }
})

test('asks the cache thirty times on the way to the limit, and no more once over it', async () => {
  let asked = 0
  const add = async () => {
    asked += 1
    return null
  }
  const cache = { add }
  const limit = rateLimiter({ cache, clock: { now: () => new Date(0) } })
  await use(limit, nobody, publicRequestsPerWindow)
  for (let n = 0; n < 1000; n += 1) await assert.rejects(limit(nobody, from('192.0.2.1')), refused)
  assert.equal(asked, 30)
})

test('remembers a bounded number of networks', async () => {
  const limit = rateLimiter({ cache: cacheOf(null), clock: { now: () => new Date(0) } })
  for (let n = 0; n < 10_000 + publicRequestsPerWindow; n += 1)
    await limit(nobody, from(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`))
  await assert.rejects(limit(nobody, from('203.0.113.9')), refused)
  await limit(nobody, from('10.0.0.1'))
})
