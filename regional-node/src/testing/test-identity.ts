import 'reflect-metadata'
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import type { NodeIdentity } from '../identity/node-identity.ts'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const dayMillis = 86_400_000
x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0])

/** An authority in memory that issues certificates of regional nodes. */
export class TestAuthority {
  readonly #certificate: x509.X509Certificate
  readonly #key: webcrypto.CryptoKey

  private constructor(certificate: x509.X509Certificate, key: webcrypto.CryptoKey) {
    this.#certificate = certificate
    this.#key = key
  }

  static async open(): Promise<TestAuthority> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=authority of a test',
      keys,
      signingAlgorithm: algorithm,
      notBefore: new Date(0),
      notAfter: new Date(Date.now() + 100 * dayMillis),
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    })
    return new TestAuthority(certificate, keys.privateKey)
  }

  /** @param validity Unix milliseconds; left out: since ever, for a hundred days */
  async node(
    id: string,
    { unit = 'regional-node', from = 0, until = Date.now() + 100 * dayMillis } = {},
  ): Promise<NodeIdentity> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const certificate = await x509.X509CertificateGenerator.create({
      subject: new x509.Name([{ CN: [id] }, { OU: [unit] }]),
      issuer: this.#certificate.subjectName,
      notBefore: new Date(from),
      notAfter: new Date(until),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: this.#key,
    })
    const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
    const pem = {
      certificate: certificate.toString('pem'),
      key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
      authority: this.#certificate.toString('pem'),
    }
    return { id, certificate: new X509Certificate(pem.certificate), key: createPrivateKey(pem.key), pem }
  }
}

let shared: Promise<TestAuthority> | undefined

/** A node of the one federation that all shards of a test process belong to. */
export const testIdentity = async (id: string): Promise<NodeIdentity> => {
  shared ??= TestAuthority.open()
  return (await shared).node(id)
}
