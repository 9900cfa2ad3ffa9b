import * as z from 'zod'

const list = z
  .string()
  .default('')
  .transform(text => text.split(',').filter(part => part !== ''))

const ObjectStorageConfig = z.object({
  OBJECT_STORAGE_HOST: z.string().default('127.0.0.1'),
  OBJECT_STORAGE_PORT: z.coerce.number().int().min(1).max(65_535),
  /** Folder for the objects; created when missing. */
  OBJECT_STORAGE_FOLDER: z.string().min(1),
  OBJECT_STORAGE_ACCESS_KEY_ID: z.string().min(1),
  OBJECT_STORAGE_SECRET_ACCESS_KEY: z.string().min(1),
  /** Buckets that are there from the start, separated by commas. */
  OBJECT_STORAGE_BUCKETS: list,
  /** Origins of browser pages that may use presigned URLs, separated by commas. */
  OBJECT_STORAGE_CORS_ORIGINS: list,
  /** Largest object or part, bytes. */
  OBJECT_STORAGE_MAX_PUT_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .default(5 * 1024 ** 3),
})
export type ObjectStorageConfig = z.infer<typeof ObjectStorageConfig>

/** @throws z.ZodError that lists every fault */
export function readConfig(env: NodeJS.ProcessEnv = process.env): ObjectStorageConfig {
  return ObjectStorageConfig.parse(env)
}
