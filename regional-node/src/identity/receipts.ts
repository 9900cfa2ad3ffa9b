import type { Receipt } from '@tributary/contracts/work-token'
import { CompactSign } from 'jose'
import type { NodeIdentity } from './node-identity.ts'

/** Signs a receipt (compact JWS, ES256). It must not leave the node before the update is durable. */
export const signReceipt = (identity: NodeIdentity, receipt: Receipt): Promise<string> =>
  new CompactSign(new TextEncoder().encode(JSON.stringify(receipt)))
    .setProtectedHeader({ alg: 'ES256', typ: 'tributary-receipt+jws', kid: identity.id })
    .sign(identity.key)
