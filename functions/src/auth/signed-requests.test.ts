import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import { systemClock } from '../adapters/clock.ts'
import { fileCertificateAuthority } from '../fleet/certificate-authority.ts'
import { readCertificateRequest } from '../fleet/certificate-request.ts'
import {
  createRequest,
  createTestAuthority,
  otherKey,
  type SignOptions,
  signRequest,
} from '../testing/test-certificates.ts'
import { isSignedRequest, signedRequestVerifier } from './signed-requests.ts'

const id = '01890a5d-ac96-774b-bcce-b302099a8057'
const parts = { method: 'POST', path: `/v1/regional-nodes/${id}/status`, body: Buffer.from('{"a":1}') }

suite('requests signed by a certificate', () => {
  const resources = new AsyncDisposableStack()
  let options: SignOptions
  let verify: ReturnType<typeof signedRequestVerifier>
  let authorityPem: string
  before(async () => {
    const authority = resources.use(await createTestAuthority())
    const { csr, key } = await createRequest()
    const issuer = fileCertificateAuthority(authority.config, systemClock)
    const publicKey = await readCertificateRequest(csr)
    const issued = await issuer.issue({ kind: 'regional-node', id, publicKey, hostnames: ['localhost'] })
    options = { certificatePem: issued.certificatePem, key, method: parts.method, path: parts.path, body: '{"a":1}' }
    authorityPem = authority.pem
    verify = signedRequestVerifier(authority.pem, systemClock)
  })
  after(() => resources.disposeAsync())
  const refused = (token: string, signed = parts) =>
    assert.rejects(
      async () => await verify(token, signed),
      (error: unknown) => error instanceof TributaryError && error.code === 'UNAUTHENTICATED',
    )

  test('tell who signed, with the fingerprint of the certificate', async () => {
    const iat = Math.floor(Date.now() / 1000)
    const token = await signRequest(id, { ...options, claims: { jti: 'request-1', iat, exp: iat + 60 } })
    assert.ok(isSignedRequest(token))
    const der = new X509Certificate(options.certificatePem).raw
    assert.deepEqual(await verify(token, parts), {
      kind: 'regional-node',
      id,
      certificateSha256: createHash('sha256').update(der).digest('hex'),
      hostnames: ['localhost'],
      jti: 'request-1',
      goodUntil: new Date((iat + 90) * 1000),
    })
  })

  test('are bound to method, path and body', async () => {
    const token = await signRequest(id, options)
    await refused(token, { ...parts, method: 'PUT' })
    await refused(token, { ...parts, path: `${parts.path}x` })
    await refused(token, { ...parts, body: Buffer.from('{"a":2}') })
  })

  test('are refused when another key signed, or the claims name another', async () => {
    await refused(await signRequest(id, { ...options, key: otherKey() }))
    await refused(await signRequest('01890a5d-ac96-774b-bcce-b302099a8058', options))
  })

  test('live for a minute and half a minute of skew', async () => {
    const now = Math.floor(Date.now() / 1000)
    const signedAt = (iat: number, exp: number) => signRequest(id, { ...options, claims: { iat, exp } })
    await refused(await signedAt(now - 200, now - 140))
    await refused(await signedAt(now + 60, now + 120))
    await refused(await signedAt(now, now + 3600))
    await refused(await signedAt(now, now - 1))
    await verify(await signedAt(now - 80, now - 20), parts)
    await verify(await signedAt(now + 20, now + 80), parts)
  })

  test('are refused with a foreign, self-signed or missing certificate', async () => {
    await using foreign = await createTestAuthority()
    const { csr, key } = await createRequest()
    const issued = await fileCertificateAuthority(foreign.config, systemClock).issue({
      kind: 'device',
      id,
      publicKey: await readCertificateRequest(csr),
    })
    await refused(await signRequest(id, { ...options, key, certificatePem: issued.certificatePem }))
    await refused(await signRequest(id, { ...options, header: { x5c: [] } }))
    await refused(await signRequest(id, { ...options, header: { x5c: ['AAAA'] } }))
    const leaf = options.certificatePem.replace(/-----[A-Z ]+-----|\s/g, '')
    await refused(await signRequest(id, { ...options, header: { x5c: [leaf, leaf] } }))
  })

  test('are refused after the certificate has expired', async () => {
    const later = { now: () => new Date(Date.now() + 31 * 86_400_000) }
    const iat = Math.floor(later.now().getTime() / 1000)
    const token = await signRequest(id, { ...options, claims: { iat, exp: iat + 60 } })
    await assert.rejects(async () => await signedRequestVerifier(authorityPem, later)(token, parts))
  })

  test('cannot be had by an unsigned token, and nonsense is no signed request', async () => {
    const [header, payload] = (await signRequest(id, options)).split('.')
    await refused(`${header}.${payload}.`)
    for (const text of ['', 'a.b.c', 'e30.e30.', 'x'.repeat(9000)]) assert.equal(isSignedRequest(text), false)
  })
})
