import { createHash, createPrivateKey, randomUUID, X509Certificate } from 'node:crypto'
import { signedRequestSeconds, signedRequestType } from '@tributary/contracts/signed-request'
import { SignJWT } from 'jose'
import type { Identity } from './identity.ts'

const answerMillis = 15_000
const mostAnswerBytes = 64 * 1024

/** Central refused, did not answer, or not with what was agreed. */
export class CentralError extends Error {
  override readonly name = 'CentralError'
  /** Code of the catalogue where central named one. */
  readonly code: string | undefined

  constructor(message: string, options: { code?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.code = options.code
  }
}

/**
 * A POST to central's REST API, signed by the device's key over method, path and body.
 * @param url of central, without a path
 * @throws CentralError
 */
export const postSigned = async (
  url: string,
  identity: Identity,
  path: string,
  value: unknown,
  signal: AbortSignal,
): Promise<unknown> => {
  const body = JSON.stringify(value)
  return postJson(url, path, body, { authorization: `Bearer ${await signRequest(identity, path, body)}` }, signal)
}

/** The same with headers of one's own. Throws CentralError. */
export const postJson = async (
  url: string,
  path: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<unknown> => {
  let status: number
  let text: string
  try {
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerMillis)]),
    })
    status = response.status
    text = await readBounded(response)
  } catch (cause) {
    signal.throwIfAborted()
    throw cause instanceof CentralError ? cause : new CentralError(`${url} does not answer`, { cause })
  }
  const answer = parse(text)
  if (status >= 200 && status < 300 && answer !== undefined) return answer
  const { code, detail, title } = (answer ?? {}) as Record<string, unknown>
  const said = [code, detail ?? title].filter(part => typeof part === 'string').join(': ')
  throw new CentralError(`${url} answers ${status} ${said}`.slice(0, 500), {
    code: typeof code === 'string' ? code : undefined,
  })
}

const signRequest = (identity: Identity, path: string, body: string): Promise<string> => {
  const seconds = Math.floor(Date.now() / 1000)
  const { raw } = new X509Certificate(identity.certificate)
  return (
    new SignJWT({ htm: 'POST', htu: path, bh: createHash('sha256').update(body).digest('base64url') })
      // RFC 7515, 4.1.6: base64, not base64url
      .setProtectedHeader({ alg: 'ES256', typ: signedRequestType, x5c: [raw.toString('base64')] })
      .setSubject(identity.device)
      .setJti(randomUUID())
      .setIssuedAt(seconds)
      .setExpirationTime(seconds + signedRequestSeconds)
      .sign(createPrivateKey(identity.key))
  )
}

const readBounded = async (response: Response): Promise<string> => {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of response.body ?? []) {
    bytes += part.byteLength
    if (bytes > mostAnswerBytes) throw new CentralError('the answer of central is too large')
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
