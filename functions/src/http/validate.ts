import { type ErrorCode, TributaryError } from '@tributary/contracts/errors'
import * as z from 'zod'
import type { ApiCall } from './api-call.ts'
import type { RouteMatch } from './match-route.ts'
import { readJsonBody } from './read-body.ts'

export type RouteInput = { readonly params: unknown; readonly query: unknown; readonly body: unknown }

const nothing = z.strictObject({})
const mostErrors = 20
const longestText = 200

/**
 * Everything of a call that its handler will read, by the schemas of the route; what they do not name is refused.
 * @throws TributaryError ID_INVALID, QUERY_INVALID, BODY_INVALID with `errors`, and as `readJsonBody`
 */
export const validateInput = (call: ApiCall, { route, params }: RouteMatch): RouteInput => ({
  params: route.params === undefined ? undefined : check(route.params, params, 'ID_INVALID'),
  query: readQuery(call.rawQuery, route.query),
  body: readBody(call, route.body),
})

const readQuery = (rawQuery: string, schema: z.ZodType | undefined): unknown => {
  const query = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(rawQuery)) {
    if (query.has(name)) {
      throw new TributaryError('QUERY_INVALID', { detail: `${name.slice(0, longestText)} is given twice` })
    }
    // No text of the database holds one.
    if (value.includes('\0'))
      throw new TributaryError('QUERY_INVALID', { detail: `${name.slice(0, longestText)} holds a NUL` })
    query.set(name, value)
  }
  const parsed = check(schema ?? nothing, Object.fromEntries(query), 'QUERY_INVALID')
  return schema === undefined ? undefined : parsed
}

const readBody = (call: ApiCall, schema: z.ZodType | undefined): unknown => {
  const value = readJsonBody(call)
  if (schema === undefined) {
    if (value !== undefined) check(nothing, value, 'BODY_INVALID')
    return undefined
  }
  if (value === undefined) throw new TributaryError('BAD_JSON', { detail: 'the body is empty' })
  return check(schema, value, 'BODY_INVALID')
}

const check = (schema: z.ZodType, value: unknown, code: ErrorCode): unknown => {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const errors = parsed.error.issues.slice(0, mostErrors).map(({ path, message }) => ({
    path: path.join('.').slice(0, longestText),
    message: message.slice(0, longestText),
  }))
  throw new TributaryError(code, { extra: { errors } })
}
