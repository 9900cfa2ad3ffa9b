import { createPublicKey, type KeyObject, sign } from 'node:crypto'
import { certificateRequestPem } from '@tributary/contracts/certificate-request'

/**
 * A certificate request in PEM, signed by the key.
 * @param key EC P-256
 */
export const certificateRequest = (key: KeyObject): string =>
  certificateRequestPem(createPublicKey(key).export({ type: 'spki', format: 'der' }), info => sign('sha256', info, key))
