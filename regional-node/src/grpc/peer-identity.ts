import { createHash } from 'node:crypto'
import type { PeerCertificate } from 'node:tls'

/** What a client certificate says of whoever shows it. */
export type PeerIdentity = {
  readonly commonName: string
  readonly organisationalUnit: string
  /** Unix milliseconds. */
  readonly validTo: number
  /** Of the certificate (DER), hex. */
  readonly sha256: string
}

export const readPeer = ({ raw, subject, valid_to }: PeerCertificate): PeerIdentity => ({
  commonName: `${subject.CN}`,
  organisationalUnit: `${subject.OU}`,
  validTo: Date.parse(valid_to),
  sha256: createHash('sha256').update(raw).digest('hex'),
})

/** A call as grpc-js has it: its stream, and so the connection, is there but not told. */
export type PeerCall = {
  readonly getAuthContext: () => { readonly sslPeerCertificate?: PeerCertificate }
  readonly call?: { readonly stream?: { readonly session?: object } }
}

/**
 * Who is at the other end of each connection, read once: a connection shows one certificate (TLS 1.3 has no renegotiation, HTTP/2
 * forbids it, RFC 9113, 9.2.1), and reading it takes longer than all else that is done to authenticate a call.
 */
export class Peers {
  readonly #bySession = new WeakMap<object, PeerIdentity>()

  /** Undefined where no certificate that the authority signed was shown. */
  of(call: PeerCall): PeerIdentity | undefined {
    const session = call.call?.stream?.session
    const known = session && this.#bySession.get(session)
    if (known !== undefined) return known
    const { sslPeerCertificate: certificate } = call.getAuthContext()
    if (certificate?.raw === undefined) return undefined
    const peer = readPeer(certificate)
    if (session !== undefined) this.#bySession.set(session, peer)
    return peer
  }
}
