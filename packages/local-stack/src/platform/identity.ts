import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PemConverter, Pkcs10CertificateRequestGenerator, X509Certificate } from '@peculiar/x509'
import type { Registered } from '@tributary/contracts/fleet'
import { writePrivately } from '../services/credentials.ts'

/** Files of one certificate holder; the common name of the certificate is its id. */
export type Identity = { readonly id: string; readonly certificateFile: string; readonly keyFile: string }

const curve = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const renewBeforeMillis = 3 * 24 * 3_600_000

const filesIn = (folder: string) => ({ certificateFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') })

/** The identity in a folder, or undefined where there is none that is good for some days more. */
export const readIdentity = async (folder: string): Promise<Identity | undefined> => {
  const files = filesIn(folder)
  try {
    const [pem] = await Promise.all([readFile(files.certificateFile, 'utf8'), readFile(files.keyFile)])
    const certificate = new X509Certificate(pem)
    const id = certificate.subjectName.getField('CN')[0]
    const isGood = certificate.notAfter.getTime() - Date.now() > renewBeforeMillis
    return id !== undefined && isGood ? { id, ...files } : undefined
  } catch {
    return undefined
  }
}

/**
 * Makes a key, has the certificate request signed, and keeps both in the folder. The key never leaves it.
 * @param register hands the request (PKCS#10, PEM) to central.
 */
export const enrol = async (folder: string, register: (csr: string) => Promise<Registered>): Promise<Identity> => {
  const files = filesIn(folder)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const keys = await webcrypto.subtle.generateKey(curve, true, ['sign', 'verify'])
  const csr = await Pkcs10CertificateRequestGenerator.create({
    // Central sets the name: it is the id that it gives.
    name: 'O=Tributary',
    keys,
    signingAlgorithm: curve,
  })
  const registered = await register(csr.toString('pem'))
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  await writePrivately(files.keyFile, `${PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`)
  await writePrivately(files.certificateFile, `${registered.certificate.trim()}\n`)
  return { id: registered.id, ...files }
}
