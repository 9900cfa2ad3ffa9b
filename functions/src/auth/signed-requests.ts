import { createHash, X509Certificate } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import {
  certificateKinds,
  SignedRequestClaims,
  signedRequestSeconds,
  signedRequestType,
} from '@tributary/contracts/signed-request'
import { compactVerify, decodeProtectedHeader } from 'jose'
import type { Clock } from '../adapters/clock.ts'

/** Whose certificate signed a request; the database has not been asked yet. */
export type SignedBy = {
  readonly kind: 'regional-node' | 'device'
  readonly id: string
  /** Hex sha256 of the certificate (DER). */
  readonly certificateSha256: string
  /** Names and addresses that the certificate gives its holder, as a server. */
  readonly hostnames: readonly string[]
  /** Drawn anew for each request; whether it was there before has not been asked yet. */
  readonly jti: string
  /** Until when the signature verifies. */
  readonly goodUntil: Date
}

/** What the signature covers. */
export type SignedParts = { readonly method: string; readonly path: string; readonly body: Uint8Array }

const skewSeconds = 30
const longestToken = 8192

/** Whether a bearer token says of itself that it is a signed request. */
export const isSignedRequest = (token: string): boolean => {
  if (token.length > longestToken || token.split('.').length !== 3) return false
  try {
    return decodeProtectedHeader(token).typ === signedRequestType
  } catch {
    return false
  }
}

/**
 * Verifies requests signed by a certificate's key.
 * @param authority PEM of the certificate that signed the certificates of nodes and devices
 * @throws TributaryError CERTIFICATE_EXPIRED, UNAUTHENTICATED; the reason of the latter goes to the log only
 */
export const signedRequestVerifier = (authority: string, clock: Clock) => {
  const issuer = new X509Certificate(authority)
  return async (token: string, parts: SignedParts): Promise<SignedBy> => {
    const certificate = leafOf(token)
    checkIssued(certificate, issuer, clock.now())
    const { payload } = await compactVerify(token, certificate.publicKey, { algorithms: ['ES256'] }).catch(
      (cause: unknown) => refuse('the signature does not verify', cause),
    )
    const { id, kind } = subjectOf(certificate)
    const { jti, exp } = checkClaims(payload, id, parts, clock.now())
    const certificateSha256 = createHash('sha256').update(certificate.raw).digest('hex')
    const hostnames = hostnamesOf(certificate)
    return { kind, id, certificateSha256, hostnames, jti, goodUntil: new Date((exp + skewSeconds) * 1000) }
  }
}

const refuse = (reason: string, cause?: unknown): never => {
  throw new TributaryError('UNAUTHENTICATED', { cause: new Error(reason, { cause }) })
}

const leafOf = (token: string): X509Certificate => {
  try {
    const { x5c, alg } = decodeProtectedHeader(token)
    const [leaf] = x5c ?? []
    if (alg !== 'ES256' || x5c?.length !== 1 || leaf === undefined) return refuse('x5c must hold the leaf alone')
    return new X509Certificate(Buffer.from(leaf, 'base64'))
  } catch (error) {
    return error instanceof TributaryError
      ? refuse('unfit header', error.cause)
      : refuse('x5c is no certificate', error)
  }
}

const checkIssued = (certificate: X509Certificate, issuer: X509Certificate, now: Date): void => {
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) refuse('not issued by our authority')
  if (certificate.ca) refuse('an authority does not sign requests')
  const time = now.getTime()
  if (time < certificate.validFromDate.getTime() - skewSeconds * 1000) refuse('the certificate is not valid yet')
  if (time >= certificate.validToDate.getTime()) {
    throw new TributaryError('CERTIFICATE_EXPIRED', {
      detail: `It expired at ${certificate.validToDate.toISOString()}.`,
    })
  }
}

// Only names that our authority wrote get here, one attribute a line.
const subjectOf = (certificate: X509Certificate): { id: string; kind: SignedBy['kind'] } => {
  const attributes = new Map(
    certificate.subject.split('\n').map(line => {
      const at = line.indexOf('=')
      return [line.slice(0, at), line.slice(at + 1)]
    }),
  )
  const kind = attributes.get('OU')
  if (kind !== certificateKinds.node && kind !== certificateKinds.device) return refuse('neither node nor device')
  return { id: attributes.get('CN') ?? '', kind }
}

/** Only what our authority wrote: DNS names and addresses, neither of which needs quotes (RFC 5280, 4.2.1.6). */
const hostnamesOf = ({ subjectAltName }: X509Certificate): string[] =>
  (subjectAltName ?? '').split(', ').flatMap(name => /^(?:DNS|IP Address):(.+)$/.exec(name)?.[1] ?? [])

const checkClaims = (
  payload: Uint8Array,
  id: string,
  { method, path, body }: SignedParts,
  now: Date,
): SignedRequestClaims => {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(payload).toString('utf8'))
  } catch (error) {
    refuse('the claims are not JSON', error)
  }
  const parsed = SignedRequestClaims.safeParse(json)
  const claims = parsed.success ? parsed.data : refuse('the claims do not fit', parsed.error)
  const { sub, iat, exp, htm, htu, bh } = claims
  const seconds = now.getTime() / 1000
  if (sub !== id) refuse('sub is not the certificate')
  if (htm !== method || htu !== path) refuse('signed for another route')
  if (bh !== createHash('sha256').update(body).digest('base64url')) refuse('signed for another body')
  if (exp - iat > signedRequestSeconds || exp <= iat) refuse('signed for too long')
  if (iat > seconds + skewSeconds) refuse('signed in the future')
  if (exp < seconds - skewSeconds) refuse('the signature has expired')
  return claims
}
