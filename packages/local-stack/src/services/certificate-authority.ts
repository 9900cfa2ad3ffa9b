import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import { writePrivately } from './credentials.ts'

/** Who may do what on MQTT and gRPC, as the OU of a client certificate. */
export type CertificateRole = 'device' | 'regional-node' | 'service'

export interface CertificateFiles {
  /** PEM certificate. */
  readonly certificateFile: string
  /** PEM PKCS#8 private key, mode 0600. */
  readonly keyFile: string
}

/** The certificate authority of one stack, in files: `ca/ca.key.pem` (PKCS#8, 0600) and `ca/ca.cert.pem`. */
export interface CertificateAuthority extends CertificateFiles {
  readonly folder: string
  readonly certificatePem: string
  /** Lines of lower-case hexadecimal SHA-256 fingerprints of client certificates that are not trusted any more. */
  readonly revokedFile: string
  /** `<name>.cert.pem` and `.key.pem` in the folder for a server on this machine; made again when near its end. */
  serverCertificate(name: string): Promise<CertificateFiles>
  /** The same for a client; `commonName` is its MQTT client id. */
  clientCertificate(name: string, commonName: string, role: CertificateRole): Promise<CertificateFiles>
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const dayMs = 24 * 60 * 60 * 1000
const authorityDays = 3650
const leafDays = 397
const renewDays = 30

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0])

/** Opens the stack's authority, or makes it at the first start. */
export async function openCertificateAuthority(state: string): Promise<CertificateAuthority> {
  const folder = join(state, 'ca')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const files = { certificateFile: join(folder, 'ca.cert.pem'), keyFile: join(folder, 'ca.key.pem') }
  if (!(await stillGood(files))) await makeAuthority(files)
  const revokedFile = join(folder, 'revoked.txt')
  await writeFile(revokedFile, '', { flag: 'a', mode: 0o600 })
  const certificatePem = await readFile(files.certificateFile, 'utf8')
  const issuer = {
    certificate: new x509.X509Certificate(certificatePem),
    key: await importKey(await readFile(files.keyFile, 'utf8')),
  }
  return {
    ...files,
    folder,
    certificatePem,
    revokedFile,
    serverCertificate: name => leaf(folder, name, issuer, serverRequest(name)),
    clientCertificate: (name, commonName, role) => leaf(folder, name, issuer, clientRequest(commonName, role)),
  }
}

interface Issuer {
  readonly certificate: x509.X509Certificate
  readonly key: webcrypto.CryptoKey
}

interface LeafRequest {
  readonly subject: x509.JsonName
  readonly extensions: x509.Extension[]
}

function serverRequest(name: string): LeafRequest {
  return {
    subject: [{ CN: [name] }, { OU: ['service'] }, { O: ['Tributary'] }],
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
      ]),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    ],
  }
}

function clientRequest(commonName: string, role: CertificateRole): LeafRequest {
  return {
    subject: [{ CN: [commonName] }, { OU: [role] }, { O: ['Tributary'] }],
    extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
  }
}

async function makeAuthority(files: CertificateFiles): Promise<void> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: new x509.Name([{ CN: ['Tributary local authority'] }, { O: ['Tributary'] }]),
    ...validity(authorityDays),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  await writePair(files, certificate, keys.privateKey)
}

async function leaf(folder: string, name: string, issuer: Issuer, request: LeafRequest): Promise<CertificateFiles> {
  const files = { certificateFile: join(folder, `${name}.cert.pem`), keyFile: join(folder, `${name}.key.pem`) }
  if (await stillGood(files, issuer)) return files
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: new x509.Name(request.subject),
    issuer: issuer.certificate.subjectName,
    ...validity(leafDays),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: issuer.key,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.certificate),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ...request.extensions,
    ],
  })
  await writePair(files, certificate, keys.privateKey)
  return files
}

/** Both files are there, the certificate lasts another month, and it was signed by this authority. */
async function stillGood(files: CertificateFiles, issuer?: Issuer): Promise<boolean> {
  try {
    const certificate = new x509.X509Certificate(await readFile(files.certificateFile, 'utf8'))
    await readFile(files.keyFile)
    if (certificate.notAfter.getTime() < Date.now() + renewDays * dayMs) return false
    return issuer ? await certificate.verify({ publicKey: issuer.certificate, signatureOnly: true }) : true
  } catch {
    return false
  }
}

async function writePair(
  files: CertificateFiles,
  certificate: x509.X509Certificate,
  key: webcrypto.CryptoKey,
): Promise<void> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', key)
  // The certificate comes last: without it the pair counts as missing.
  await writePrivately(files.keyFile, `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`)
  await writePrivately(files.certificateFile, `${certificate.toString('pem')}\n`)
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const [der] = x509.PemConverter.decode(pem)
  if (!der) throw new Error('ca.key.pem holds no key; begin anew with npm start -- --fresh')
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign'])
}

/** Positive and 127 bits long [RFC 5280, 4.1.2.2]. */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

function validity(days: number): { notBefore: Date; notAfter: Date } {
  // Clocks of other machines may be behind.
  return { notBefore: new Date(Date.now() - 60 * 60 * 1000), notAfter: new Date(Date.now() + days * dayMs) }
}
