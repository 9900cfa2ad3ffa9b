import type { ServiceContext } from '../service-context.ts'
import type { RedisService } from './redis.ts'
export async function startMemoryRedis(_context: ServiceContext): Promise<RedisService> {
  throw new Error('no redis-server')
}
