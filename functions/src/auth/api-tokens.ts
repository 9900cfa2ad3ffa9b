import { createHash, timingSafeEqual } from 'node:crypto'
import type { ApiToken } from '../config.ts'
import type { Principal } from './principal.ts'

/** Finds the holder of a bearer token; every known token is compared, in constant time, whether or not one fits. */
export const apiTokenVerifier = (tokens: readonly ApiToken[]): ((token: string) => Principal | null) => {
  const known = tokens.map(({ name, role, sha256 }) => ({ name, role, digest: Buffer.from(sha256, 'hex') }))
  return token => {
    const digest = createHash('sha256').update(token).digest()
    let found: Principal | null = null
    for (const candidate of known) {
      if (timingSafeEqual(candidate.digest, digest)) {
        found = { kind: 'token', name: candidate.name, role: candidate.role }
      }
    }
    return found
  }
}
