import 'reflect-metadata'
import { createHash, createPrivateKey, createPublicKey, randomBytes, webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'
import { certificateKinds } from '@tributary/contracts/signed-request'
import type { Clock } from '../adapters/clock.ts'
import type { ConfigOf } from '../config.ts'

export type CertificateOrder = {
  readonly id: string
  readonly publicKey: x509.PublicKey
} & (
  | { readonly kind: 'device' }
  /** A node serves devices under these names and addresses. */
  | { readonly kind: 'regional-node'; readonly hostnames: readonly string[] }
)

export type IssuedCertificate = {
  readonly certificatePem: string
  /** Hex sha256 of the DER. */
  readonly sha256: string
  readonly expiresAt: Date
}

/** Signs the certificates of nodes and devices. */
export type CertificateAuthority = {
  readonly certificatePem: string
  issue(order: CertificateOrder): Promise<IssuedCertificate>
}

const validDays = 30
const dayMillis = 86_400_000
/** Clocks of devices run behind. */
const skewMillis = 5 * 60_000
const signing = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/**
 * The authority whose certificate and key lie in files (PEM, EC P-256).
 * @throws Error when the key is not the certificate's
 */
export const fileCertificateAuthority = (
  config: ConfigOf<'authority' | 'authorityKey'>,
  clock: Clock,
): CertificateAuthority => {
  const certificatePem = readFileSync(config.authority.AUTHORITY_CERT_FILE, 'utf8')
  const privateKey = createPrivateKey(readFileSync(config.authorityKey.AUTHORITY_KEY_FILE))
  const issuer = new x509.X509Certificate(certificatePem)
  const publicDer = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  if (!publicDer.equals(Buffer.from(issuer.publicKey.rawData))) {
    throw new Error('AUTHORITY_KEY_FILE does not hold the key of the certificate in AUTHORITY_CERT_FILE')
  }
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' })
  const signingKey = webcrypto.subtle.importKey('pkcs8', pkcs8, signing, false, ['sign'])
  // Whoever awaits it sees the failure; until then it must not count as unhandled.
  signingKey.catch(() => undefined)
  return {
    certificatePem,
    issue: async order => issue(order, { issuer, signingKey: await signingKey, now: clock.now() }),
  }
}

const issue = async (
  order: CertificateOrder,
  { issuer, signingKey, now }: { issuer: x509.X509Certificate; signingKey: webcrypto.CryptoKey; now: Date },
): Promise<IssuedCertificate> => {
  const expiresAt = new Date(Math.min(now.getTime() + validDays * dayMillis, issuer.notAfter.getTime()))
  // Certificates count whole seconds; what is told must be what is written.
  expiresAt.setUTCMilliseconds(0)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [
      { CN: [order.id] },
      { OU: [certificateKinds[order.kind === 'device' ? 'device' : 'node']] },
      { O: ['Tributary'] },
    ],
    issuer: issuer.subjectName,
    notBefore: new Date(now.getTime() - skewMillis),
    notAfter: expiresAt,
    signingAlgorithm: signing,
    signingKey,
    publicKey: order.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(order.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...purposeOf(order),
    ],
  })
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    sha256: createHash('sha256').update(Buffer.from(certificate.rawData)).digest('hex'),
    expiresAt,
  }
}

const purposeOf = (order: CertificateOrder): x509.Extension[] => {
  const { clientAuth, serverAuth } = x509.ExtendedKeyUsage
  if (order.kind === 'device') return [new x509.ExtendedKeyUsageExtension([clientAuth])]
  return [
    new x509.ExtendedKeyUsageExtension([clientAuth, serverAuth]),
    new x509.SubjectAlternativeNameExtension(
      order.hostnames.map(value => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
    ),
  ]
}

/** Positive, 127 random bits. RFC 5280, 4.1.2.2. */
const serialNumber = (): string => {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}
