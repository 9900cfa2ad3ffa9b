import { TributaryError } from '@tributary/contracts/errors'
import type { ApiCall } from '../http/api-call.ts'
import { bearerToken } from './bearer-token.ts'
import type { Principal } from './principal.ts'
import { isSignedRequest, type SignedBy, type SignedParts } from './signed-requests.ts'

export type Authenticator = (call: ApiCall) => Promise<Principal>

export type AuthenticatorParts = {
  /** Tokens of the configuration, with which the first keys are made. */
  readonly verifyToken: (token: string) => Principal | null
  readonly findApiKey: (token: string) => Promise<Principal | null>
  /** Absent in functions that serve no certificate's route. */
  readonly verifySigned?: (token: string, parts: SignedParts) => Promise<SignedBy>
  readonly checkRegistered: (signedBy: SignedBy) => Promise<void>
  readonly checkUnused: (signedBy: SignedBy) => Promise<void>
}

/**
 * Tells who asks from the Authorization header.
 * @throws TributaryError UNAUTHENTICATED, API_KEY_EXPIRED, API_KEY_REVOKED, CERTIFICATE_REVOKED
 */
export const createAuthenticator =
  ({ verifyToken, findApiKey, verifySigned, checkRegistered, checkUnused }: AuthenticatorParts): Authenticator =>
  async call => {
    const token = bearerToken(call)
    if (token === undefined) throw new TributaryError('UNAUTHENTICATED')
    if (verifySigned !== undefined && isSignedRequest(token)) {
      const signedBy = await verifySigned(token, call)
      // At once: a status call waits for the slower of database and cache, not for both.
      await Promise.all([checkRegistered(signedBy), checkUnused(signedBy)])
      return { kind: signedBy.kind, id: signedBy.id, hostnames: signedBy.hostnames }
    }
    const principal = verifyToken(token) ?? (await findApiKey(token))
    if (principal === null) throw new TributaryError('UNAUTHENTICATED')
    return principal
  }
