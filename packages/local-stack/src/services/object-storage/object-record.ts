import * as z from 'zod'
import { checksumNames } from './checksums.ts'

/** One object: where its bytes are and what S3 says of it. */
export const ObjectRecord = z.object({
  key: z.string(),
  bytes: z.int().nonnegative(),
  /** Without the quotes. */
  etag: z.string(),
  modified: z.iso.datetime(),
  checksum: z.object({ name: z.enum(checksumNames), value: z.string() }),
  /** Content-Type, Cache-Control, x-amz-meta-… as they were sent. */
  headers: z.record(z.string(), z.string()),
  /** Files in the bucket's `data` folder that make up the object, in order; one for a plain PUT, one a part for multipart. */
  segments: z.array(z.object({ file: z.string().regex(/^[0-9a-f-]{36}$/), bytes: z.int().nonnegative() })),
})
export type ObjectRecord = z.infer<typeof ObjectRecord>
