import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import type { ApiCall } from '../http/api-call.ts'
import { failuresPerWindow, failureWindowSeconds, limitFailures } from './limit-failures.ts'

const callOf = (token: string, sourceAddress = '192.0.2.1'): ApiCall => ({
  requestId: 'r',
  method: 'GET',
  path: '/',
  rawQuery: '',
  headers: new Map(token === '' ? [] : [['authorization', `Bearer ${token}`]]),
  body: new Uint8Array(),
  sourceAddress,
})

/** A limiter over one good token; `asked` counts what got through to the verification. */
const setUp = (counts: Map<string, number> | null = null) => {
  const time = { now: new Date(7 * failureWindowSeconds * 1000) }
  const asked = { times: 0 }
  const cache = {
    add: async (key: string, amount: number) => {
      if (counts === null) return null
      counts.set(key, (counts.get(key) ?? 0) + amount)
      return counts.get(key) ?? null
    },
  }
  const authenticate = limitFailures({ cache, clock: { now: () => time.now } }, async call => {
    asked.times += 1
    if (call.headers.get('authorization') !== 'Bearer good') throw new TributaryError('UNAUTHENTICATED')
    return { kind: 'token', name: 'good', role: 'viewer' }
  })
  const codeOf = async (call: ApiCall): Promise<string> => {
    try {
      await authenticate(call)
      return 'ok'
    } catch (error) {
      assert.ok(error instanceof TributaryError)
      return error.code
    }
  }
  const fail = async (times: number, address?: string) => {
    for (let n = 0; n < times; n += 1) assert.equal(await codeOf(callOf(`bad-${n}`, address)), 'UNAUTHENTICATED')
  }
  return { time, asked, authenticate, codeOf, fail }
}

test('too many failures of an address are refused unverified until the window ends, and say for how long', async () => {
  const { time, asked, authenticate, codeOf, fail } = setUp()
  await fail(failuresPerWindow)
  time.now = new Date(time.now.getTime() + 3000)
  await assert.rejects(authenticate(callOf('bad')), {
    code: 'RATE_LIMITED',
    extra: { retryAfterSeconds: failureWindowSeconds - 3 },
  })
  assert.equal(asked.times, failuresPerWindow)
  assert.equal(await codeOf(callOf('bad', '192.0.2.2')), 'UNAUTHENTICATED')
  time.now = new Date(time.now.getTime() + (failureWindowSeconds - 3) * 1000)
  assert.equal(await codeOf(callOf('bad')), 'UNAUTHENTICATED')
})

test('whoever was let in before goes on behind a flooded address; a newcomer waits for the next window', async () => {
  const { time, codeOf, fail } = setUp()
  await fail(failuresPerWindow)
  assert.equal(await codeOf(callOf('good')), 'RATE_LIMITED')
  time.now = new Date(time.now.getTime() + failureWindowSeconds * 1000)
  assert.equal(await codeOf(callOf('good')), 'ok')
  await fail(failuresPerWindow)
  assert.equal(await codeOf(callOf('bad')), 'RATE_LIMITED')
  assert.equal(await codeOf(callOf('good')), 'ok')
})

test('instances count together while the cache answers, and successes count nowhere', async () => {
  const counts = new Map<string, number>()
  const [one, two] = [setUp(counts), setUp(counts)]
  for (let n = 0; n < 3 * failuresPerWindow; n += 1) assert.equal(await one.codeOf(callOf('good')), 'ok')
  await one.fail(failuresPerWindow - 1)
  await two.fail(1)
  assert.equal(await two.codeOf(callOf('bad')), 'RATE_LIMITED')
})

test('the addresses of one IPv6 network count together, calls without a credential not at all', async () => {
  const { codeOf, fail } = setUp()
  for (let n = 0; n <= failuresPerWindow; n += 1) assert.equal(await codeOf(callOf('')), 'UNAUTHENTICATED')
  for (let n = 0; n < failuresPerWindow; n += 1) await fail(1, `2001:db8:1:2::${n.toString(16)}`)
  assert.equal(await codeOf(callOf('bad', '2001:db8:1:2:a:b:c:d')), 'RATE_LIMITED')
  assert.equal(await codeOf(callOf('bad', '2001:db8:1:3::1')), 'UNAUTHENTICATED')
})
