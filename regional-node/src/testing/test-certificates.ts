import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import type { CertificateAuthority, CertificateFiles } from '@tributary/local-stack/services/certificate-authority'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0])

/** A certificate of a regional node as central issues it: server for devices, client for the broker. */
export const nodeCertificate = async (authority: CertificateAuthority, id: string): Promise<CertificateFiles> => {
  const issuer = new x509.X509Certificate(authority.certificatePem)
  const [der] = x509.PemConverter.decode(await readFile(authority.keyFile, 'utf8'))
  const signingKey = await webcrypto.subtle.importKey('pkcs8', der as ArrayBuffer, algorithm, false, ['sign'])
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    subject: new x509.Name([{ CN: [id] }, { OU: ['regional-node'] }]),
    issuer: issuer.subjectName,
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
      ]),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
    ],
  })
  const files = {
    certificateFile: join(authority.folder, `${id}.cert.pem`),
    keyFile: join(authority.folder, `${id}.key.pem`),
  }
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  await writeFile(files.keyFile, x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'))
  await writeFile(files.certificateFile, certificate.toString('pem'))
  return files
}
