import { createHmac, timingSafeEqual } from 'node:crypto'
import { canonicalRequest, type RequestToVerify, sha256Hex, splitUrl } from './canonical-request.ts'

export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export interface VerifierOptions {
  readonly credentials: AwsCredentials
  /** Signing name in the scope: `s3`, `iotdata`. */
  readonly service: string
  readonly now: Date
  /** Hash of the body that was read, for services whose requests do not declare it. */
  readonly payloadHash?: string
}

export type SignatureFault =
  | 'AccessDenied'
  | 'AuthorizationHeaderMalformed'
  | 'InvalidAccessKeyId'
  | 'SignatureDoesNotMatch'
  | 'RequestTimeTooSkewed'
  | 'InvalidRequest'

/** A request that is not signed, or not rightly. */
export class SignatureError extends Error {
  readonly code: SignatureFault

  constructor(code: SignatureFault, message: string) {
    super(message)
    this.name = 'SignatureError'
    this.code = code
  }
}

export interface VerifiedSignature {
  /** Declared hash of the body: hexadecimal, `UNSIGNED-PAYLOAD` or `STREAMING-…`. The caller verifies it while it reads. */
  readonly payloadHash: string
}

interface Claim {
  readonly accessKeyId: string
  readonly date: string
  readonly region: string
  readonly time: string
  readonly signedHeaders: readonly string[]
  readonly signature: string
  readonly payloadHash: string
  readonly expiresSeconds: number | undefined
}

const skewMs = 15 * 60 * 1000
const longestPresignedSeconds = 7 * 24 * 60 * 60
// The SDKs leave these out of what they sign, because proxies change them.
const unsignedAllowed = new Set(['x-amz-user-agent', 'x-amzn-trace-id'])

/**
 * Verifies an AWS Signature Version 4 in the `Authorization` header or in the query (presigned), in constant time.
 *
 * @throws SignatureError
 */
export function verifySignature(request: RequestToVerify, options: VerifierOptions): VerifiedSignature {
  const parts = splitUrl(request.url)
  if (!parts) throw new SignatureError('InvalidRequest', 'the URL is not valid UTF-8')
  const query = new Map(parts.query)
  if (query.size !== parts.query.length && query.has('X-Amz-Signature')) {
    throw new SignatureError('InvalidRequest', 'a query parameter is repeated')
  }
  const claim = query.has('X-Amz-Signature') ? presignedClaim(query, options.service) : headerClaim(request, options)
  checkTime(claim, options.now)
  checkSignedHeaders(claim, request)
  const { accessKeyId, secretAccessKey } = options.credentials
  if (!sameText(claim.accessKeyId, accessKeyId)) {
    throw new SignatureError('InvalidAccessKeyId', 'the access key id is not known here')
  }
  const canonical = canonicalRequest(request, parts, claim.signedHeaders, claim.payloadHash, options.service !== 's3')
  const scope = `${claim.date}/${claim.region}/${options.service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', claim.time, scope, sha256Hex(canonical)].join('\n')
  const key = [claim.date, claim.region, options.service, 'aws4_request'].reduce<string | Buffer>(
    hmac,
    `AWS4${secretAccessKey}`,
  )
  if (!sameText(claim.signature, hmac(key, toSign).toString('hex'))) {
    throw new SignatureError(
      'SignatureDoesNotMatch',
      'the signature does not match the request; check the secret key and the clock',
    )
  }
  return { payloadHash: claim.payloadHash }
}

function headerClaim(request: RequestToVerify, { service, payloadHash: readHash }: VerifierOptions): Claim {
  const authorization = request.headers.authorization
  if (authorization === undefined) throw new SignatureError('AccessDenied', 'the request is not signed')
  const found = /^AWS4-HMAC-SHA256 Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})$/.exec(
    authorization,
  )
  if (!found)
    throw new SignatureError('AuthorizationHeaderMalformed', 'the Authorization header is no AWS4-HMAC-SHA256')
  const time = single(request.headers['x-amz-date'])
  const payloadHash = single(request.headers['x-amz-content-sha256']) ?? readHash
  if (payloadHash === undefined) throw new SignatureError('InvalidRequest', 'x-amz-content-sha256 is missing')
  return {
    ...scopeOf(found[1] ?? '', service),
    time: time ?? '',
    signedHeaders: (found[2] ?? '').split(';'),
    signature: found[3] ?? '',
    payloadHash,
    expiresSeconds: undefined,
  }
}

function presignedClaim(query: ReadonlyMap<string, string>, service: string): Claim {
  if (query.get('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256') {
    throw new SignatureError('AuthorizationHeaderMalformed', 'X-Amz-Algorithm must be AWS4-HMAC-SHA256')
  }
  const expires = query.get('X-Amz-Expires') ?? ''
  if (!/^\d{1,6}$/.test(expires) || Number(expires) < 1 || Number(expires) > longestPresignedSeconds) {
    throw new SignatureError(
      'AuthorizationHeaderMalformed',
      `X-Amz-Expires must be from 1 to ${longestPresignedSeconds}`,
    )
  }
  return {
    ...scopeOf(query.get('X-Amz-Credential') ?? '', service),
    time: query.get('X-Amz-Date') ?? '',
    signedHeaders: (query.get('X-Amz-SignedHeaders') ?? '').split(';'),
    signature: query.get('X-Amz-Signature') ?? '',
    payloadHash: query.get('X-Amz-Content-Sha256') ?? 'UNSIGNED-PAYLOAD',
    expiresSeconds: Number(expires),
  }
}

function scopeOf(credential: string, service: string): { accessKeyId: string; date: string; region: string } {
  const [accessKeyId, date, region, scopeService, end, more] = credential.split('/')
  const wrong =
    !accessKeyId || !date || !region || scopeService !== service || end !== 'aws4_request' || more !== undefined
  if (wrong)
    throw new SignatureError(
      'AuthorizationHeaderMalformed',
      `the credential's scope must be key/date/region/${service}/aws4_request`,
    )
  return { accessKeyId, date, region }
}

function checkTime(claim: Claim, now: Date): void {
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(claim.time)
  if (!found || !claim.time.startsWith(claim.date))
    throw new SignatureError('AccessDenied', 'the date of the signature is missing or wrong')
  const [, year, month, day, hour, minute, second] = found.map(Number)
  const signed = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second)
  const age = now.getTime() - signed
  if (age < -skewMs || (claim.expiresSeconds === undefined && age > skewMs)) {
    throw new SignatureError('RequestTimeTooSkewed', 'the clock of the client differs by more than 15 minutes')
  }
  if (claim.expiresSeconds !== undefined && age > claim.expiresSeconds * 1000) {
    throw new SignatureError('AccessDenied', 'Request has expired')
  }
}

/** Whatever changes the meaning of a request must be under the signature. */
function checkSignedHeaders(claim: Claim, request: RequestToVerify): void {
  const signed = new Set(claim.signedHeaders)
  if (!signed.has('host')) throw new SignatureError('AccessDenied', 'the host header is not signed')
  for (const name of Object.keys(request.headers)) {
    const matters = name.startsWith('x-amz-') && !unsignedAllowed.has(name)
    if (matters && !signed.has(name)) {
      throw new SignatureError(
        'AccessDenied',
        `There were headers present in the request which were not signed: ${name}`,
      )
    }
  }
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** Compares in a time that does not depend on where they differ. */
export function sameText(one: string, other: string): boolean {
  return timingSafeEqual(hmac('compare', one), hmac('compare', other))
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
