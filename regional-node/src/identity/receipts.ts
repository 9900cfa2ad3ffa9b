import { X509Certificate } from 'node:crypto'
import { certificateKinds } from '@tributary/contracts/signed-request'
import { Receipt } from '@tributary/contracts/work-token'
import { compactVerify, decodeProtectedHeader } from 'jose'
import { Es256Jws } from './compact-jws.ts'
import { type NodeIdentity, subjectField } from './node-identity.ts'

const receiptType = 'tributary-receipt+jws'
const longestReceipt = 8192
const skewMillis = 60_000

/** The part of a device in an attempt that a receipt is to prove. */
export type ProvenPart = Pick<Receipt, 'task' | 'round' | 'attempt' | 'region' | 'shard' | 'epoch' | 'device'> & {
  /** When the attempt was opened, Unix milliseconds. */
  readonly openedAt: number
}

/**
 * Receipts: compact JWS, ES256, with the node's certificate in the header (RFC 7515, 4.1.6), so that whoever trusts the authority
 * can tell what this node promised.
 */
export class Receipts {
  #jws: Es256Jws
  readonly #authority: () => X509Certificate

  constructor(identity: NodeIdentity) {
    this.#jws = jwsOf(identity)
    let authority: X509Certificate | undefined
    this.#authority = () => {
      authority ??= new X509Certificate(identity.pem.authority)
      return authority
    }
  }

  /** The certificate was renewed. */
  useIdentity(identity: NodeIdentity): void {
    this.#jws = jwsOf(identity)
  }

  /** Signs a receipt with the newest certificate. It must not leave the node before the update is durable. */
  sign(receipt: Receipt): string {
    return this.#jws.sign(receipt)
  }

  /**
   * Whether one of the receipts that a device shows is of an epoch before this one, of its part in the same attempt: whichever node gave
   * it had selected the device.
   * @param now Unix milliseconds
   */
  async prove(shown: readonly string[], part: ProvenPart, now: number): Promise<boolean> {
    for (const text of shown) {
      if (isOfPart(claimsOf(text), part, now)) return this.#isSigned(text)
    }
    return false
  }

  /** Whether a node of this federation signed it, with a certificate that was valid then. */
  async #isSigned(text: string): Promise<boolean> {
    try {
      const { x5c } = decodeProtectedHeader(text)
      const [leaf] = x5c ?? []
      if (x5c?.length !== 1 || leaf === undefined) return false
      const certificate = new X509Certificate(Buffer.from(leaf, 'base64'))
      const authority = this.#authority()
      if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey) || certificate.ca)
        return false
      const { payload, protectedHeader } = await compactVerify(text, certificate.publicKey, { algorithms: ['ES256'] })
      const { node, iat } = Receipt.parse(JSON.parse(new TextDecoder().decode(payload)))
      const { subject, validFromDate, validToDate } = certificate
      return (
        protectedHeader.typ === receiptType &&
        subjectField(subject, 'CN') === node &&
        subjectField(subject, 'OU') === certificateKinds.node &&
        iat * 1000 > validFromDate.getTime() - skewMillis &&
        iat * 1000 < validToDate.getTime()
      )
    } catch {
      return false
    }
  }
}

const jwsOf = ({ id, key, certificate }: NodeIdentity): Es256Jws =>
  new Es256Jws(key, { typ: receiptType, kid: id, x5c: [certificate.raw.toString('base64')] })

/** What it says, whether or not that is true. */
const claimsOf = (text: string): Receipt | undefined => {
  if (text.length > longestReceipt) return undefined
  try {
    return Receipt.parse(JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString('utf8')))
  } catch {
    return undefined
  }
}

const isOfPart = (claims: Receipt | undefined, part: ProvenPart, now: number): boolean =>
  claims !== undefined &&
  claims.device === part.device &&
  claims.task === part.task &&
  claims.round === part.round &&
  claims.attempt === part.attempt &&
  claims.region === part.region &&
  claims.shard === part.shard &&
  claims.epoch < part.epoch &&
  // A certificate that has run out since proves nothing that is written later.
  claims.iat * 1000 > part.openedAt - skewMillis &&
  claims.iat * 1000 < now + skewMillis
