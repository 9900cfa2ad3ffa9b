import { experimental, type ServerCredentials } from '@grpc/grpc-js'
import type { NodeIdentity } from '../identity/node-identity.ts'

type IdentityListener = experimental.IdentityCertificateUpdateListener

/** Node's own two minutes would let anybody, without a certificate, hold every connection that there may be. */
const mostHandshakeMillis = 10_000

/** What the server shows, replaced while it runs. Certificates of clients are required. */
export class ServerCertificate implements experimental.CertificateProvider {
  readonly #listeners = new Set<IdentityListener>()
  #pem: NodeIdentity['pem']

  constructor(pem: NodeIdentity['pem']) {
    this.#pem = pem
  }

  /** @param handshakeMillis how long a connection may take to show its certificate */
  credentials(handshakeMillis = mostHandshakeMillis): ServerCredentials {
    const credentials = experimental.createCertificateProviderServerCredentials(this, this, true)
    // These go as they are to the TLS server; grpc-js names no option for it.
    Object.assign(credentials._getConstructorOptions() ?? {}, { handshakeTimeout: handshakeMillis })
    return credentials
  }

  replace(pem: NodeIdentity['pem']): void {
    this.#pem = pem
    for (const listener of this.#listeners) this.#tell(listener)
  }

  // grpc-js adds the server that wants to know only after this returns, so that it would miss an answer now.
  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#listeners.add(listener)
    queueMicrotask(() => this.#tell(listener))
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#listeners.delete(listener)
  }

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    queueMicrotask(() => listener({ caCertificate: Buffer.from(this.#pem.authority) }))
  }

  // The authority does not change while the server runs.
  removeCaCertificateListener(): void {}

  #tell(listener: IdentityListener): void {
    listener({ certificate: Buffer.from(this.#pem.certificate), privateKey: Buffer.from(this.#pem.key) })
  }
}
