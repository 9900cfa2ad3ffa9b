import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { Redis } from '@upstash/redis'
import { startRedis } from '../redis/redis.ts'
import { testContext } from '../testing.ts'
import { startUpstashRest } from '../upstash-rest/upstash-rest.ts'
import { startMemoryRedis } from './memory-redis.ts'

// The same statements against the stand-in and the real server: the real one says what is right.
for (const [name, start] of [
  ['the stand-in', startMemoryRedis],
  ['Redis', startRedis],
] as const) {
  test(`${name} caches strings, counters and hashes behind the REST front`, { timeout: 60_000 }, async () => {
    await using context = await testContext()
    await using server = await start(context)
    await using front = await startUpstashRest(server, context)
    const redis = new Redis({ url: front.url, token: front.token, enableTelemetry: false, retry: false })
    assert.equal(await redis.ping(), 'PONG')
    assert.equal(await redis.set('a', { b: 'ü' }, { ex: 100 }), 'OK')
    assert.deepEqual(await redis.get('a'), { b: 'ü' })
    assert.equal(await redis.ttl('a'), 100)
    assert.equal(await redis.persist('a'), 1)
    assert.equal(await redis.ttl('a'), -1)
    assert.equal(await redis.ttl('none'), -2)
    assert.equal(await redis.set('a', 'x', { nx: true }), null)
    assert.equal(await redis.set('none', 'x', { xx: true }), null)
    assert.deepEqual(await redis.mget('a', 'none'), [{ b: 'ü' }, null])
    assert.deepEqual(await redis.multi().incrby('n', 5).decr('n').expire('n', 50).ttl('n').exec(), [5, 4, 1, 50])
    assert.equal(await redis.hset('h', { x: 1, y: 'z' }), 2)
    assert.deepEqual(await redis.hgetall('h'), { x: 1, y: 'z' })
    assert.equal(await redis.hdel('h', 'x', 'nothing'), 1)
    await assert.rejects(redis.incr('a'), /not an integer/)
    await assert.rejects(redis.get('h'), /WRONGTYPE/)
    await assert.rejects(redis.set('e', 'x', { ex: -1 }), /invalid expire/)
    assert.equal(await redis.del('a', 'none'), 1)
    assert.equal(await redis.exists('a'), 0)
    await redis.set('short', 'x', { px: 1 })
    while ((await redis.get('short')) !== null);
  })
}

test('the stand-in refuses what is no RESP, strangers and scripts', async () => {
  await using context = await testContext()
  await using server = await startMemoryRedis(context)
  const port = Number(new URL(server.url).port)
  const ask = async (text: string) => {
    const socket = connect(port, '127.0.0.1')
    socket.write(text)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    socket.destroy()
    return String(answer)
  }
  assert.match(await ask('*1\r\n$4\r\nPING\r\n'), /^-NOAUTH/)
  for (const hostile of [
    'GET / HTTP/1.1\r\n\r\n',
    '*99999999\r\n',
    '*1\r\n$999999999\r\n',
    '*1\r\n$-5\r\n',
    '*-1\r\n',
    'x'.repeat(100),
  ]) {
    assert.match(await ask(hostile), /^-ERR Protocol error/, hostile)
  }
  await using front = await startUpstashRest(server, context)
  const redis = new Redis({ url: front.url, token: front.token, enableTelemetry: false, retry: false })
  await assert.rejects(redis.eval('return 1', [], []), /needs a real Redis/)
})
