import type { IncomingMessage, ServerResponse } from 'node:http'

const exposed =
  'ETag, Content-Range, Accept-Ranges, x-amz-checksum-crc32, x-amz-checksum-sha256, x-amz-checksum-crc64nvme, x-amz-checksum-type'

/** Lets pages of the given origins read answers; presigned URLs are their only credentials, so no cookies. */
export function setCorsHeaders(request: IncomingMessage, response: ServerResponse, origins: readonly string[]): void {
  const { origin } = request.headers
  response.setHeader('vary', 'Origin')
  if (origin === undefined || !origins.includes(origin)) return
  response.setHeader('access-control-allow-origin', origin)
  response.setHeader('access-control-expose-headers', exposed)
}

/** Answers the browser's question before a PUT or a GET with own headers; false for every other request. */
export function answerPreflight(
  request: IncomingMessage,
  response: ServerResponse,
  origins: readonly string[],
): boolean {
  if (request.method !== 'OPTIONS') return false
  setCorsHeaders(request, response, origins)
  const allowed = response.hasHeader('access-control-allow-origin')
  if (allowed) {
    response.setHeader('access-control-allow-methods', 'GET, HEAD, PUT')
    response.setHeader('access-control-allow-headers', request.headers['access-control-request-headers'] ?? '')
    response.setHeader('access-control-max-age', '600')
  }
  response.writeHead(allowed ? 204 : 403).end()
  return true
}
