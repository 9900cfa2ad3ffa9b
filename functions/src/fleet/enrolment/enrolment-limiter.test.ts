import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enrolmentLimiter, enrolmentsPerWindow } from './enrolment-limiter.ts'

const limited = (seconds: number) => ({ code: 'RATE_LIMITED', extra: { retryAfterSeconds: seconds } })

test('a network that tries without end waits for the next minute, others do not, with and without the cache', async () => {
  for (const withCache of [true, false]) {
    const shared = new Map<string, number>()
    const add = async (key: string, amount: number) => {
      if (!withCache) return null
      const value = (shared.get(key) ?? 0) + amount
      shared.set(key, value)
      return value
    }
    let millis = Date.UTC(2026, 0, 1, 0, 0, 15)
    const limit = enrolmentLimiter({ cache: { add }, clock: { now: () => new Date(millis) } })
    for (let left = enrolmentsPerWindow; left > 0; left -= 1) await limit('2001:db8:1:2::1')
    // One subscriber has all of the 64 bits behind.
    await assert.rejects(() => limit('2001:db8:1:2:ffff::9'), limited(45))
    await limit('2001:db8:1:3::1')
    await limit('192.0.2.1')
    if (withCache) {
      const other = enrolmentLimiter({ cache: { add }, clock: { now: () => new Date(millis) } })
      await assert.rejects(() => other('2001:db8:1:2::1'), limited(45))
    }
    millis += 45_000
    await limit('2001:db8:1:2::1')
  }
})
