import { createHash, randomUUID } from 'node:crypto'
import { signedRequestSeconds, signedRequestType } from '@tributary/contracts/signed-request'
import { SignJWT } from 'jose'
import type { NodeIdentity } from './node-identity.ts'

/** The bearer token of one request to central: a JWT over method, path and body, with the certificate in its header. */
export const signRequest = (
  identity: NodeIdentity,
  { method, path, body, now }: { method: string; path: string; body: string; now: number },
): Promise<string> => {
  const seconds = Math.floor(now / 1000)
  return new SignJWT({ htm: method, htu: path, bh: createHash('sha256').update(body).digest('base64url') })
    .setProtectedHeader({
      alg: 'ES256',
      typ: signedRequestType,
      // RFC 7515, 4.1.6: base64, not base64url
      x5c: [identity.certificate.raw.toString('base64')],
    })
    .setSubject(identity.id)
    .setJti(randomUUID())
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + signedRequestSeconds)
    .sign(identity.key)
}
