import * as z from 'zod'
import { errorCodes, type TributaryError } from './errors.ts'

/** RFC 9457 problem document; `code` is of the error catalogue, some codes bring members of their own. */
export const Problem = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.enum(errorCodes),
  detail: z.string().optional(),
  instance: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
})
export type Problem = z.infer<typeof Problem>

/** Members that the catalogue and the request decide. */
const reserved = new Set(['type', 'title', 'status', 'code', 'detail', 'instance'])

/** The public face of an error. `instance` is the request's id, under which the log has the cause. */
export const problemOf = (error: TributaryError, instance?: string): Problem => ({
  type: `urn:tributary:error:${error.code}`,
  title: error.entry.message,
  status: error.entry.http,
  ...Object.fromEntries(Object.entries(error.extra).filter(([name]) => !reserved.has(name))),
  code: error.code,
  ...(error.detail === undefined ? {} : { detail: error.detail }),
  ...(instance === undefined ? {} : { instance }),
})
