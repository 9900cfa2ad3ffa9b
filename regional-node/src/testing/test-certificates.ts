import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import type { CertificateAuthority, CertificateFiles } from '@tributary/local-stack/services/certificate-authority'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0])

/** When a certificate is good, Unix milliseconds. */
type Term = { readonly from: number; readonly to: number }

const usualTerm = (): Term => ({ from: Date.now() - 3_600_000, to: Date.now() + 86_400_000 })

const certificateFor = async (
  authority: CertificateAuthority,
  id: string,
  publicKey: webcrypto.CryptoKey | x509.PublicKey,
  { from, to }: Term,
): Promise<string> => {
  const [der] = x509.PemConverter.decode(await readFile(authority.keyFile, 'utf8'))
  const certificate = await x509.X509CertificateGenerator.create({
    subject: new x509.Name([{ CN: [id] }, { OU: ['regional-node'] }]),
    issuer: new x509.X509Certificate(authority.certificatePem).subjectName,
    notBefore: new Date(from),
    notAfter: new Date(to),
    signingAlgorithm: algorithm,
    publicKey,
    signingKey: await webcrypto.subtle.importKey('pkcs8', der as ArrayBuffer, algorithm, false, ['sign']),
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
      ]),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
    ],
  })
  return certificate.toString('pem')
}

/** A certificate of a regional node as central issues it: server for devices, client for the broker. */
export const nodeCertificate = async (
  authority: CertificateAuthority,
  id: string,
  term = usualTerm(),
): Promise<CertificateFiles> => {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const files = {
    certificateFile: join(authority.folder, `${id}.cert.pem`),
    keyFile: join(authority.folder, `${id}.key.pem`),
  }
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  await writeFile(files.keyFile, x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'))
  await writeFile(files.certificateFile, await certificateFor(authority, id, keys.publicKey, term))
  return files
}

/** The certificate that central gives for a request, once its signature shows that the sender holds the key. */
export const certificateOfRequest = async (
  authority: CertificateAuthority,
  id: string,
  csr: string,
  term = usualTerm(),
): Promise<string> => {
  const request = new x509.Pkcs10CertificateRequest(csr)
  if (!(await request.verify())) throw new Error('the signature of the certificate request does not verify')
  return certificateFor(authority, id, request.publicKey, term)
}
