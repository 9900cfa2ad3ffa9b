import * as z from 'zod'

const UpstashRestConfig = z.object({
  UPSTASH_REST_HOST: z.string().default('127.0.0.1'),
  UPSTASH_REST_PORT: z.coerce.number().int().min(1).max(65_535),
  /** What clients send as `Authorization: Bearer …`. */
  UPSTASH_REST_TOKEN: z.string().min(16),
  /** The Redis behind: `redis://:password@127.0.0.1:6379`. */
  UPSTASH_REST_REDIS_URL: z.url({ protocol: /^rediss?$/ }),
})
export type UpstashRestConfig = z.infer<typeof UpstashRestConfig>

/** @throws z.ZodError that lists every fault */
export function readConfig(env: NodeJS.ProcessEnv = process.env): UpstashRestConfig {
  return UpstashRestConfig.parse(env)
}
