import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { Uuid } from '@tributary/contracts/ids'
import { certificateKinds } from '@tributary/contracts/signed-request'

/** Who this node is: its certificate, issued by the federation's authority, and the key that proves it. */
export type NodeIdentity = {
  readonly id: string
  readonly certificate: X509Certificate
  readonly key: KeyObject
  readonly pem: { readonly certificate: string; readonly key: string; readonly authority: string }
}

/** One attribute of a subject as `X509Certificate.subject` writes it, a line each. */
export const subjectField = (subject: string, name: string): string | undefined =>
  subject
    .split('\n')
    .find(line => line.startsWith(`${name}=`))
    ?.slice(name.length + 1)

/** @throws Error that says what is wrong with certificate or key */
export const readIdentity = (pem: NodeIdentity['pem']): NodeIdentity => {
  const certificate = new X509Certificate(pem.certificate)
  const key = createPrivateKey(pem.key)
  if (!certificate.checkPrivateKey(key)) throw new Error('NODE_KEY_FILE is not the key of NODE_CERT_FILE')
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new Error('NODE_KEY_FILE must be an EC P-256 key')
  }
  const id = Uuid.safeParse(subjectField(certificate.subject, 'CN'))
  if (!id.success) throw new Error('the common name of NODE_CERT_FILE must be the id of the node')
  if (subjectField(certificate.subject, 'OU') !== certificateKinds.node) {
    throw new Error(`the organisational unit of NODE_CERT_FILE must be ${certificateKinds.node}`)
  }
  return { id: id.data, certificate, key, pem }
}

/** A certificate is not one that may follow the node's own. */
export class UnfitCertificateError extends Error {
  override readonly name = 'UnfitCertificateError'
}

/**
 * The same node with its next certificate.
 * @throws UnfitCertificateError unless it is of this node, of its key and of the authority that it trusts
 */
export const followingIdentity = (identity: NodeIdentity, certificatePem: string): NodeIdentity => {
  let next: NodeIdentity
  try {
    next = readIdentity({ ...identity.pem, certificate: certificatePem })
  } catch (cause) {
    throw new UnfitCertificateError('the certificate is not for this node and its key', { cause })
  }
  const authority = new X509Certificate(identity.pem.authority)
  if (next.id !== identity.id || !next.certificate.verify(authority.publicKey)) {
    throw new UnfitCertificateError('the certificate is for another node, or not of the authority')
  }
  return next
}
