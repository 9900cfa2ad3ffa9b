import 'reflect-metadata'
import { createHash } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { TributaryError } from '@tributary/contracts/errors'

const pem =
  /^\s*-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----[\sA-Za-z0-9+/=]+-----END (?:NEW )?CERTIFICATE REQUEST-----\s*$/

/**
 * The key of a certificate request (PKCS#10, PEM) whose signature proves that the sender holds it. Subject and
 * extensions of the request are not looked at: who somebody is, central decides.
 * @throws TributaryError CSR_INVALID; only EC P-256 keys are taken
 */
export const readCertificateRequest = async (csr: string): Promise<x509.PublicKey> => {
  if (!pem.test(csr)) throw new TributaryError('CSR_INVALID', { detail: 'csr: one PEM block CERTIFICATE REQUEST' })
  let request: x509.Pkcs10CertificateRequest
  let verified: boolean
  try {
    request = new x509.Pkcs10CertificateRequest(csr.trim())
    const { algorithm } = request.publicKey as { algorithm: { name: string; namedCurve?: string } }
    if (algorithm.name !== 'ECDSA' || algorithm.namedCurve !== 'P-256') {
      throw new TributaryError('CSR_INVALID', { detail: 'csr: the key must be EC P-256' })
    }
    verified = await request.verify()
  } catch (cause) {
    throw cause instanceof TributaryError ? cause : new TributaryError('CSR_INVALID', { cause })
  }
  if (!verified) throw new TributaryError('CSR_INVALID', { detail: 'csr: the signature does not verify' })
  return request.publicKey
}

/** The key of a request, and the sha256 of its SubjectPublicKeyInfo by which it is known again. */
export type KeyOfRequest = { readonly publicKey: x509.PublicKey; readonly sha256: Buffer }

/** @throws TributaryError CSR_INVALID */
export const readKeyOfRequest = async (csr: string): Promise<KeyOfRequest> => {
  const publicKey = await readCertificateRequest(csr)
  return { publicKey, sha256: createHash('sha256').update(Buffer.from(publicKey.rawData)).digest() }
}
