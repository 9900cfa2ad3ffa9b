import 'reflect-metadata'
import { createHash, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0])

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

export type PemPair = { readonly certificate: string; readonly key: string }

/** A certificate authority that lives as long as a test. */
export class TestAuthority {
  readonly certificate: string
  readonly #keys: webcrypto.CryptoKeyPair
  readonly #root: x509.X509Certificate

  private constructor(root: x509.X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#root = root
    this.#keys = keys
    this.certificate = root.toString('pem')
  }

  static async create(): Promise<TestAuthority> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=Test authority',
      ...validity(),
      signingAlgorithm: algorithm,
      keys,
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    })
    return new TestAuthority(root, keys)
  }

  /** Of its certificate (DER), hex: what owners compare. */
  get sha256(): string {
    return createHash('sha256').update(new Uint8Array(this.#root.rawData)).digest('hex')
  }

  /** A certificate for the key of a request (PKCS#10, PEM). */
  async issueFor(csr: string, commonName: string, unit: string): Promise<string> {
    const request = new x509.Pkcs10CertificateRequest(csr)
    if (!(await request.verify())) throw new Error('the request does not verify')
    return (await this.#sign(request.publicKey, commonName, unit)).toString('pem')
  }

  /** A certificate for this machine, good for both ends of TLS. */
  async issue(commonName: string, unit: string, times = validity()): Promise<PemPair> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const certificate = await this.#sign(keys.publicKey, commonName, unit, times)
    const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
    return { certificate: certificate.toString('pem'), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') }
  }

  #sign(
    publicKey: x509.PublicKeyType,
    commonName: string,
    unit: string,
    times = validity(),
  ): Promise<x509.X509Certificate> {
    return x509.X509CertificateGenerator.create({
      subject: new x509.Name([{ CN: [commonName] }, { OU: [unit] }]),
      issuer: this.#root.subjectName,
      ...times,
      signingAlgorithm: algorithm,
      publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: 'localhost' },
          { type: 'ip', value: '127.0.0.1' },
        ]),
      ],
    })
  }
}

const validity = () => ({ notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 3_600_000) })
