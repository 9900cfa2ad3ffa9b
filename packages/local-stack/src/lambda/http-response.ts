import * as z from 'zod'

/** What goes back to the client. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string | string[]])[]
  readonly body: Buffer
}

const Answer = z.object({
  statusCode: z.coerce.number().int().min(200).max(599),
  headers: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).nullable()).nullish(),
  cookies: z.array(z.string()).nullish(),
  body: z.string().nullish(),
  isBase64Encoded: z.boolean().nullish(),
})

/** The server sets these itself (RFC 9110, 7.6.1 and 8.6). */
const notPassedOn = new Set(['connection', 'content-length', 'keep-alive', 'transfer-encoding', 'upgrade', 'trailer'])

/**
 * What a function returned as an HTTP answer, by the rules of payload format 2.0: without a `statusCode` the returned value is the
 * JSON body of a 200.
 *
 * @throws Error when it is neither.
 */
export function httpAnswer(payload: Buffer): HttpAnswer {
  const value: unknown = JSON.parse(payload.toString('utf8'))
  if (value === null || typeof value !== 'object' || !Object.hasOwn(value, 'statusCode')) {
    return {
      status: 200,
      headers: [['content-type', 'application/json']],
      body: Buffer.from(typeof value === 'string' ? value : payload),
    }
  }
  const { statusCode, headers, cookies, body, isBase64Encoded } = Answer.parse(value)
  const passedOn = Object.entries(headers ?? {}).flatMap(([name, text]): [string, string][] =>
    text === null || notPassedOn.has(name.toLowerCase()) ? [] : [[name.toLowerCase(), String(text)]],
  )
  const typed = passedOn.some(([name]) => name === 'content-type')
  return {
    status: statusCode,
    headers: [
      ...passedOn,
      ...(typed || !body ? [] : ([['content-type', 'text/plain;charset=utf-8']] as [string, string][])),
      ...(cookies?.length ? ([['set-cookie', cookies]] as [string, string[]][]) : []),
    ],
    body: Buffer.from(body ?? '', isBase64Encoded ? 'base64' : 'utf8'),
  }
}
