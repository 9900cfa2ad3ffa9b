import type { TLSSocket } from 'node:tls'

/** Who a connection is, from its client certificate. */
export interface MqttIdentity {
  readonly id: string
  readonly role: 'device' | 'regional-node' | 'service'
  /** Lower-case hexadecimal SHA-256 of the certificate. */
  readonly fingerprint: string
}

/** The identity of a TLS connection whose certificate was verified; undefined when the certificate names none. */
export function identityOf(socket: TLSSocket): MqttIdentity | undefined {
  if (!socket.authorized) return undefined
  const certificate = socket.getPeerCertificate()
  // A subject may repeat a field; then Node gives an array, and it is not clear who this is.
  const { CN: id, OU: role } = certificate.subject as { CN?: unknown; OU?: unknown }
  if (typeof id !== 'string' || !/^[^/+#\s$]{1,128}$/.test(id)) return undefined
  if (role !== 'device' && role !== 'regional-node' && role !== 'service') return undefined
  return { id, role, fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase() }
}
