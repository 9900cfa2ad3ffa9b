import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRedis } from '@tributary/local-stack/services/redis/redis'
import { testContext } from '@tributary/local-stack/services/testing'
import { startUpstashRest } from '@tributary/local-stack/services/upstash-rest/upstash-rest'
import { createLog } from '../log.ts'
import { UpstashCache } from './upstash-cache.ts'

const log = createLog('silent', 'test')

test('keeps texts as they are and counts, in a real Redis behind the REST front', { timeout: 60_000 }, async () => {
  await using context = await testContext()
  await using redis = await startRedis(context)
  await using front = await startUpstashRest(redis, context)
  const cache = new UpstashCache({ url: front.url, token: front.token, log })
  await cache.ready(AbortSignal.timeout(2000))
  assert.equal(await cache.get('a'), null)
  for (const value of ['{"x":1}', '007', 'grüße', 'OK']) {
    await cache.set('a', value, 60)
    assert.equal(await cache.get('a'), value)
  }
  assert.equal(await cache.add('n', 20, 60), 20)
  assert.equal(await cache.add('n', 22, 60), 42)
  const claims = await Promise.all([1, 2, 3].map(() => cache.addIfAbsent('once', 60)))
  assert.deepEqual(claims.toSorted(), [false, false, true])
  assert.equal(await cache.addIfAbsent('other', 60), true)
})

test('is empty, not broken, when the service does not answer', async () => {
  const cache = new UpstashCache({ url: 'http://127.0.0.1:1', token: 'x', log })
  assert.equal(await cache.get('a'), null)
  await cache.set('a', 'b', 60)
  assert.equal(await cache.add('n', 1, 60), null)
  assert.equal(await cache.addIfAbsent('once', 60), null)
  await assert.rejects(cache.ready(AbortSignal.timeout(2000)))
})
