import { TributaryError } from '@tributary/contracts/errors'
import type { ApiCall } from './api-call.ts'

/** @throws TributaryError BODY_TOO_LARGE */
export const checkBodySize = (call: ApiCall, maxBodyBytes: number): void => {
  if (call.body.length > maxBodyBytes) {
    throw new TributaryError('BODY_TOO_LARGE', { extra: { bytes: call.body.length, maxBodyBytes } })
  }
}

/**
 * The JSON value of a body, undefined where there is none.
 * @throws TributaryError MEDIA_TYPE_UNSUPPORTED, BAD_JSON, BODY_INVALID for text that no database keeps
 */
export const readJsonBody = (call: ApiCall): unknown => {
  if (call.body.length === 0) return undefined
  checkMediaType(call)
  let text: string
  let value: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(call.body)
    value = JSON.parse(text)
  } catch (cause) {
    throw new TributaryError('BAD_JSON', { cause })
  }
  // Raw UTF-8 cannot hold half a surrogate pair and JSON no raw NUL: only escapes bring them.
  if (text.includes('\\u')) checkText(value)
  return value
}

const checkMediaType = ({ headers }: ApiCall): void => {
  const [type = '', ...parameters] = (headers.get('content-type') ?? '').toLowerCase().split(';')
  const charset = parameters.map(parameter => parameter.trim()).find(parameter => parameter.startsWith('charset='))
  const plain = ['', 'identity'].includes((headers.get('content-encoding') ?? '').trim().toLowerCase())
  const utf8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset)
  if (type.trim() !== 'application/json' || !plain || !utf8) throw new TributaryError('MEDIA_TYPE_UNSUPPORTED')
}

const checkText = (value: unknown): void => {
  const rest: unknown[] = [value]
  while (rest.length > 0) {
    const next = rest.pop()
    if (typeof next === 'string') {
      if (next.includes('\0') || !next.isWellFormed()) {
        throw new TributaryError('BODY_INVALID', { detail: 'a text holds a NUL or half a surrogate pair' })
      }
    } else if (typeof next === 'object' && next !== null) {
      for (const [name, member] of Object.entries(next)) rest.push(name, member)
    }
  }
}
