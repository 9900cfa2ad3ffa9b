import { X509Certificate } from 'node:crypto'
import { attemptKey } from '@tributary/contracts/ids'
import { Receipt } from '@tributary/contracts/work-token'
import { compactVerify } from 'jose'
import type { KeptUpdate } from '../state/kept-update.ts'

/** The node's promise does not hold for what was sent. */
export class ReceiptError extends Error {
  override readonly name = 'ReceiptError'
}

/**
 * Checks that a receipt is signed by the node that answered (the certificate that TLS verified) and is about this update
 * of this device. Throws ReceiptError.
 * @param nodeCertificate DER
 */
export const verifyReceipt = async (
  receipt: string,
  nodeCertificate: Uint8Array,
  device: string,
  update: Pick<KeptUpdate, 'attempt' | 'sha256'>,
): Promise<void> => {
  let claims: Receipt
  try {
    const { publicKey } = new X509Certificate(nodeCertificate)
    const { payload } = await compactVerify(receipt, publicKey, { algorithms: ['ES256'] })
    claims = Receipt.parse(JSON.parse(new TextDecoder().decode(payload)))
  } catch (cause) {
    throw new ReceiptError('The receipt is not signed by the node that gave it.', { cause })
  }
  if (
    claims.device !== device ||
    claims.sha256 !== update.sha256 ||
    attemptKey(claims) !== attemptKey(update.attempt)
  ) {
    throw new ReceiptError('The receipt is about another update.')
  }
}
