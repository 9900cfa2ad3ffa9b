import * as z from 'zod'
import { Uuid } from './ids.ts'

/**
 * REST requests of nodes and devices: a JWT (ES256) signed by the certificate's key, at most 60 s old, over method, path and
 * body hash. The certificate travels in the `x5c` header parameter (RFC 7515, 4.1.6), leaf only.
 * Each request is signed anew, a repeated one too, with a `jti` of its own: central takes a `jti` once while the signature is good,
 * as long as its cache answers. Without the cache it takes the request, which must therefore do no harm when it comes twice.
 * Sent as `Authorization: Bearer <jwt>`; `typ` tells it from other tokens.
 */
export const signedRequestType = 'tributary-request+jwt'
export const signedRequestSeconds = 60

export const SignedRequestClaims = z.object({
  /** Common name of the certificate. */
  sub: Uuid,
  iat: z.int(),
  exp: z.int(),
  /** Unique for the certificate, e.g. a random UUID. */
  jti: z.string().min(8).max(64),
  /** HTTP method. */
  htm: z.string().max(10),
  /** Path without query. */
  htu: z.string().max(2048),
  /** base64url sha256 of the body. */
  bh: z.string().max(64),
})
export type SignedRequestClaims = z.infer<typeof SignedRequestClaims>

/** Organisational unit of a certificate's subject: what its holder is. */
export const certificateKinds = { node: 'regional-node', device: 'device', service: 'service' } as const
