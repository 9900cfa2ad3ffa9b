import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { testContext } from '../testing.ts'
import { startRedis } from './redis.ts'

test('Redis asks for the password and runs scripts', async () => {
  await using context = await testContext()
  await using service = await startRedis(context)
  const redis = new Redis(service.url)
  assert.equal(await redis.eval("return redis.call('incrby', KEYS[1], ARGV[1])", 1, 'n', '41'), 41)
  await redis.quit()
  const url = new URL(service.url)
  const stranger = new Redis({ host: url.hostname, port: Number(url.port) })
  await assert.rejects(stranger.get('n'), /NOAUTH/)
  stranger.disconnect()
})
