import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { Redis } from '@upstash/redis'
import { startRedis } from '../redis/redis.ts'
import { testContext } from '../testing.ts'
import { startUpstashRest, type UpstashRestService } from './upstash-rest.ts'

suite('the Upstash REST front with the real client', { timeout: 60_000 }, () => {
  const resources = new AsyncDisposableStack()
  let service: UpstashRestService
  let redis: Redis
  before(async () => {
    const context = resources.use(await testContext())
    service = resources.use(await startUpstashRest(resources.use(await startRedis(context)), context))
    redis = new Redis({ url: service.url, token: service.token, enableTelemetry: false, retry: false })
  })
  after(() => resources.disposeAsync())

  test('keeps strings, objects, hashes, unicode and the word OK as they were', async () => {
    assert.equal(await redis.set('s', 'grüße 🌊'), 'OK')
    assert.equal(await redis.get('s'), 'grüße 🌊')
    await redis.set('ok', 'OK')
    assert.equal(await redis.get('ok'), 'OK')
    await redis.hset('h', { a: 1, b: { c: [2] } })
    assert.deepEqual(await redis.hgetall('h'), { a: 1, b: { c: [2] } })
    assert.equal(await redis.get('none'), null)
    await redis.zadd('z', { score: 1.5, member: 'm' })
    assert.deepEqual(await redis.zrange('z', 0, -1, { withScores: true }), ['m', 1.5])
    assert.equal(await redis.set('once', '1', { nx: true, px: 60_000 }), 'OK')
    assert.equal(await redis.set('once', '2', { nx: true }), null)
  })

  test('answers a pipeline in order and runs a transaction whole', async () => {
    assert.deepEqual(await redis.pipeline().set('p', 1).incr('p').get('p').exec(), ['OK', 2, 2])
    assert.deepEqual(await redis.multi().set('t', 'x').rpush('l', 'a', 'b').lrange('l', 0, -1).exec(), [
      'OK',
      2,
      ['a', 'b'],
    ])
    await assert.rejects(redis.multi().set('t', 'y').incr('t').exec(), /not an integer/)
    const many = await Promise.all(
      Array.from({ length: 20 }, () => redis.multi().incr('n').incr('n').exec<[number, number]>()),
    )
    for (const [first, second] of many) assert.equal(second, first + 1)
  })

  test('runs scripts by text and by hash', async () => {
    const script = 'return {KEYS[1], ARGV[1], redis.call("incr", "count")}'
    assert.deepEqual(await redis.eval(script, ['k'], ['v']), ['k', 'v', 1])
    const hash = createHash('sha1').update(script).digest('hex')
    assert.deepEqual(await redis.evalsha(hash, ['k'], ['v']), ['k', 'v', 2])
    await assert.rejects(redis.evalsha('0'.repeat(40), [], []), /NOSCRIPT/)
  })

  test('refuses a wrong token, dangerous commands and bodies that are none', async () => {
    const stranger = new Redis({ url: service.url, token: 'wrong', retry: false, enableTelemetry: false })
    await assert.rejects(stranger.get('s'), /Unauthorized/)
    const post = (body: string, path = '') =>
      fetch(service.url + path, { method: 'POST', body, headers: { authorization: `Bearer ${service.token}` } })
    for (const body of [
      '',
      '{',
      '{}',
      '[]',
      '[["GET"]]',
      '[null]',
      '["SHUTDOWN"]',
      '["blpop","x","0"]',
      '["CONFIG","GET","*"]',
      '["get"]',
    ]) {
      assert.equal((await post(body)).status, 400, body)
    }
    assert.equal((await post('{}', '/pipeline')).status, 400)
    assert.equal((await post(JSON.stringify(['SET', 'big', 'x'.repeat(2_000_000)]))).status, 413)
    assert.deepEqual(await (await post('', '/incr/path')).json(), { result: 1 })
  })
})
