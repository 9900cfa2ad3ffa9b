import type { APIGatewayProxyEventV2 } from 'aws-lambda'

/** One call as it came in, before anything about it is believed. */
export type ApiCall = {
  readonly requestId: string
  readonly method: string
  /** As sent: still percent-encoded, without query. */
  readonly path: string
  readonly rawQuery: string
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Uint8Array
  /** IP address that the HTTP API saw. */
  readonly sourceAddress: string
}

const utf8 = new TextEncoder()

/** Reads payload format 2.0 of an HTTP API. */
export const apiCallOf = (event: APIGatewayProxyEventV2): ApiCall => {
  const { body = '', headers, isBase64Encoded, rawPath, rawQueryString, requestContext } = event
  return {
    requestId: requestContext.requestId,
    method: requestContext.http.method,
    path: rawPath,
    rawQuery: rawQueryString,
    headers: new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value ?? ''])),
    body: isBase64Encoded ? Buffer.from(body, 'base64') : utf8.encode(body),
    sourceAddress: requestContext.http.sourceIp,
  }
}
