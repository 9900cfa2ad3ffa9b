import { spawnNodeEntry } from '../node-entry.ts'
import type { RedisService } from '../redis/redis-service.ts'
import type { RunningService } from '../running-service.ts'
import type { ServiceContext } from '../service-context.ts'

export interface UpstashRestService extends RunningService {
  readonly url: string
  readonly token: string
}

/** Starts the Upstash-compatible REST front of this Redis. */
export async function startUpstashRest(redis: RedisService, context: ServiceContext): Promise<UpstashRestService> {
  const { credentials, ports } = context
  const owned = await spawnNodeEntry(
    {
      name: 'Upstash REST',
      entry: new URL('./upstash-rest.main.ts', import.meta.url),
      env: {
        UPSTASH_REST_PORT: String(ports.upstashRest),
        UPSTASH_REST_TOKEN: credentials.upstashToken,
        UPSTASH_REST_REDIS_URL: redis.url,
      },
      ready: { line: /^listening$/ },
      logName: 'upstash-rest',
    },
    context,
  )
  return {
    name: 'Upstash REST',
    detail: 'in front of Redis',
    url: `http://127.0.0.1:${ports.upstashRest}`,
    token: credentials.upstashToken,
    processIds: () => (owned.pid === undefined ? [] : [owned.pid]),
    [Symbol.asyncDispose]: () => owned.stop(),
  }
}
