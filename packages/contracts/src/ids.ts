import * as z from 'zod'

/** Ids minted by central are UUID version 7 (RFC 9562), lower case. */
export const Uuid = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, 'not an id')
/** Names of regions, data sets, groups: safe in topics, routing keys, object keys and host names. */
export const Slug = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'lower-case letters, digits and inner hyphens, at most 63')
/** Key-value marks of a device, e.g. `{ "site": "north" }`. At most 32. */
export const Labels = z
  .record(Slug, z.string().min(1).max(128))
  .refine(labels => Object.keys(labels).length <= 32, 'at most 32 labels')
export type Labels = z.infer<typeof Labels>

/** A name for people. */
export const DisplayName = z.string().trim().min(1).max(200)
/** sha256 in lower-case hex. */
export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'not a sha256')
/** Key in object storage: path of safe segments, no dot segments. */
export const ObjectKey = z
  .string()
  .max(512)
  .regex(/^[a-z0-9][a-z0-9_-]*(?:\.[a-z0-9]+)*(?:\/[a-z0-9][a-z0-9_-]*(?:\.[a-z0-9]+)*)*$/, 'not an object key')
/** No calendar has a year 0, and no database either. */
export const Timestamp = z.iso.datetime().refine(text => !text.startsWith('0000'), 'the first year is 0001')

/** A stored object by key, content hash and size. */
export const ObjectRef = z.object({ objectKey: ObjectKey, sha256: Sha256, bytes: z.int().nonnegative() })
export type ObjectRef = z.infer<typeof ObjectRef>

/** The identity of a round's work, in every key, token and message. */
export const AttemptRef = z.object({ task: Uuid, round: z.int().positive(), attempt: z.int().positive() })
export type AttemptRef = z.infer<typeof AttemptRef>

/** One text for an attempt, as key of a Map or part of a log line. */
export const attemptKey = (ref: AttemptRef): string => `${ref.task}/${ref.round}/${ref.attempt}`
