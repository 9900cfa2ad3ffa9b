import * as z from 'zod'

const MemoryRedisConfig = z.object({
  MEMORY_REDIS_HOST: z.string().default('127.0.0.1'),
  MEMORY_REDIS_PORT: z.coerce.number().int().min(1).max(65_535),
  MEMORY_REDIS_PASSWORD: z.string().min(16),
  /** Keys beyond this number push out the oldest. */
  MEMORY_REDIS_MAX_KEYS: z.coerce.number().int().min(1).default(100_000),
})
export type MemoryRedisConfig = z.infer<typeof MemoryRedisConfig>

/** @throws z.ZodError that lists every fault */
export function readConfig(env: NodeJS.ProcessEnv = process.env): MemoryRedisConfig {
  return MemoryRedisConfig.parse(env)
}
