import { spawnNodeEntry } from '../node-entry.ts'
import type { RedisService } from '../redis/redis-service.ts'
import type { ServiceContext } from '../service-context.ts'

/** A cache that speaks Redis's protocol, for machines where no redis-server can be had: strings, counters, hashes, expiry. */
export async function startMemoryRedis(context: ServiceContext): Promise<RedisService> {
  const { credentials, ports } = context
  const owned = await spawnNodeEntry(
    {
      name: 'Redis',
      entry: new URL('./memory-redis.main.ts', import.meta.url),
      env: { MEMORY_REDIS_PORT: String(ports.redis), MEMORY_REDIS_PASSWORD: credentials.redisPassword },
      ready: { line: /^listening$/ },
      logName: 'redis',
    },
    context,
  )
  return {
    name: 'Redis',
    detail: 'a stand-in in memory, without scripts: no redis-server was found',
    url: `redis://:${credentials.redisPassword}@127.0.0.1:${ports.redis}`,
    processIds: () => (owned.pid === undefined ? [] : [owned.pid]),
    [Symbol.asyncDispose]: () => owned.stop(),
  }
}
