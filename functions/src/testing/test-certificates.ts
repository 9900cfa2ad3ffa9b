import 'reflect-metadata'
import { createHash, generateKeyPairSync, type KeyObject, randomUUID, webcrypto } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import { signedRequestType } from '@tributary/contracts/signed-request'
import { CompactSign } from 'jose'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** A new authority in files. */
export const createTestAuthority = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-authority-'))
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=Test authority,O=Tributary',
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 365 * 86_400_000),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  })
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  const config = {
    authority: { AUTHORITY_CERT_FILE: join(folder, 'ca.pem') },
    authorityKey: { AUTHORITY_KEY_FILE: join(folder, 'ca.key.pem') },
  }
  const pem = certificate.toString('pem')
  await writeFile(config.authority.AUTHORITY_CERT_FILE, pem)
  await writeFile(
    config.authorityKey.AUTHORITY_KEY_FILE,
    `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
  )
  return { config, pem, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}

/** A key and a certificate request for it; the subject is a lie, as anybody may write there. */
export const createRequest = async (keyAlgorithm: EcKeyGenParams | RsaHashedKeyGenParams = algorithm) => {
  const keys = (await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=admin,OU=service',
    keys,
    signingAlgorithm: keyAlgorithm as typeof algorithm,
  })
  return { csr: request.toString('pem'), key: keys.privateKey }
}
type EcKeyGenParams = typeof algorithm
type RsaHashedKeyGenParams = { name: string; hash: string; modulusLength: number; publicExponent: Uint8Array }

export type SignOptions = {
  readonly certificatePem: string
  readonly key: webcrypto.CryptoKey | KeyObject
  readonly method: string
  readonly path: string
  readonly body?: string
  readonly claims?: Record<string, unknown>
  readonly header?: Record<string, unknown>
}

/** The bearer token of a node or device, by the contract's text. */
export const signRequest = async (sub: string, options: SignOptions): Promise<string> => {
  const { certificatePem, key, method, path, body = '', claims, header } = options
  const now = Math.floor(Date.now() / 1000)
  const bh = createHash('sha256').update(body).digest('base64url')
  const payload = { sub, iat: now, exp: now + 60, jti: randomUUID(), htm: method, htu: path, bh, ...claims }
  const x5c = [certificatePem.replace(/-----[A-Z ]+-----|\s/g, '')]
  return new CompactSign(Buffer.from(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'ES256', typ: signedRequestType, x5c, ...header })
    .sign(key)
}

/** Another EC P-256 key. */
export const otherKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
