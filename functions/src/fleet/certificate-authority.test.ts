import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import { systemClock } from '../adapters/clock.ts'
import { createRequest, createTestAuthority } from '../testing/test-certificates.ts'
import { fileCertificateAuthority } from './certificate-authority.ts'
import { readCertificateRequest } from './certificate-request.ts'

const id = '01890a5d-ac96-774b-bcce-b302099a8057'
const invalid = (csr: string) =>
  assert.rejects(
    async () => await readCertificateRequest(csr),
    (error: unknown) => error instanceof TributaryError && error.code === 'CSR_INVALID',
  )

test('signs a certificate that names what central decided, whatever the request says', async () => {
  await using files = await createTestAuthority()
  const authority = fileCertificateAuthority(files.config, systemClock)
  const publicKey = await readCertificateRequest((await createRequest()).csr)
  const issued = await authority.issue({ kind: 'regional-node', id, publicKey, hostnames: ['localhost', '127.0.0.1'] })
  const certificate = new X509Certificate(issued.certificatePem)
  assert.equal(certificate.subject, `CN=${id}\nOU=regional-node\nO=Tributary`)
  assert.ok(certificate.verify(new X509Certificate(files.pem).publicKey))
  assert.ok(certificate.checkIssued(new X509Certificate(files.pem)))
  assert.equal(certificate.ca, false)
  assert.equal(certificate.checkHost('localhost'), 'localhost')
  assert.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1')
  // id-kp-clientAuth and id-kp-serverAuth, RFC 5280, 4.2.1.12
  assert.deepEqual(certificate.keyUsage.toSorted(), ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
  assert.equal(issued.sha256, createHash('sha256').update(certificate.raw).digest('hex'))
  assert.equal(certificate.validToDate.getTime(), issued.expiresAt.getTime())
  const days = (issued.expiresAt.getTime() - Date.now()) / 86_400_000
  assert.ok(days > 29.9 && days <= 30)
})

test('gives a device no server certificate', async () => {
  await using files = await createTestAuthority()
  const publicKey = await readCertificateRequest((await createRequest()).csr)
  const issued = await fileCertificateAuthority(files.config, systemClock).issue({ kind: 'device', id, publicKey })
  const certificate = new X509Certificate(issued.certificatePem)
  assert.equal(certificate.subject, `CN=${id}\nOU=device\nO=Tributary`)
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2'])
  assert.equal(certificate.subjectAltName, undefined)
})

test('does not start with a key of another certificate', async () => {
  await using one = await createTestAuthority()
  await using two = await createTestAuthority()
  const mixed = { authority: one.config.authority, authorityKey: two.config.authorityKey }
  assert.throws(() => fileCertificateAuthority(mixed, systemClock), /does not hold the key/)
})

test('refuses requests that are no PEM, no PKCS#10, of another key type or not signed by their key', async () => {
  const { csr } = await createRequest()
  const body = csr.replace(/-----[A-Z ]+-----|\s/g, '')
  const der = Buffer.from(body, 'base64')
  // One bit of the signature, which ends the file.
  der[der.length - 1] = (der[der.length - 1] ?? 0) ^ 1
  const wrap = (base64: string) => `-----BEGIN CERTIFICATE REQUEST-----\n${base64}\n-----END CERTIFICATE REQUEST-----\n`
  await invalid('')
  await invalid('nonsense')
  await invalid(wrap('AAAA'))
  await invalid(wrap(der.toString('base64')))
  await invalid(`${csr}\n${csr}`)
  const publicExponent = new Uint8Array([1, 0, 1])
  const rsa = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent }
  await invalid((await createRequest(rsa)).csr)
})
