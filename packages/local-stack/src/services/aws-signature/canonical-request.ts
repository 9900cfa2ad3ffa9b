import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

export interface RequestToVerify {
  readonly method: string
  /** Path and query as they came, `req.url`. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

/** Path and raw query parameters; undefined where the escapes are no UTF-8. */
export function splitUrl(url: string): { path: string; query: [string, string][] } | undefined {
  const at = url.indexOf('?')
  const path = at < 0 ? url : url.slice(0, at)
  try {
    const query =
      at < 0
        ? []
        : url
            .slice(at + 1)
            .split('&')
            .filter(part => part !== '')
            .map(decodePair)
    decodeURIComponent(path)
    return { path, query }
  } catch {
    return undefined
  }
}

function decodePair(part: string): [string, string] {
  const at = part.indexOf('=')
  const decode = (text: string) => decodeURIComponent(text.replaceAll('+', ' '))
  return at < 0 ? [decode(part), ''] : [decode(part.slice(0, at)), decode(part.slice(at + 1))]
}

/**
 * The canonical request of AWS Signature Version 4. S3 escapes the path once, every other service twice.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function canonicalRequest(
  request: RequestToVerify,
  parts: { path: string; query: [string, string][] },
  signedHeaders: readonly string[],
  payloadHash: string,
  escapeTwice: boolean,
): string {
  const once = parts.path
    .split('/')
    .map(segment => escapeUri(decodeURIComponent(segment)))
    .join('/')
  const path = escapeTwice ? once.split('/').map(escapeUri).join('/') : once
  const query = parts.query
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${escapeUri(name)}=${escapeUri(value)}`)
    .sort()
    .join('&')
  const headers = signedHeaders.map(name => `${name}:${headerValue(request.headers[name])}\n`).join('')
  return [request.method, path || '/', query, headers, signedHeaders.join(';'), payloadHash].join('\n')
}

export function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function headerValue(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value.join(',') : (value ?? '')).trim().replace(/ +/g, ' ')
}

/** RFC 3986: everything but unreserved characters. */
function escapeUri(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
