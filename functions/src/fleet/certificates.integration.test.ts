import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import { systemClock } from '../adapters/clock.ts'
import { testApi, testParts, tokens } from '../testing/test-api.ts'
import { createRequest, createTestAuthority, signRequest } from '../testing/test-certificates.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import type { BrokerRegistrar } from './broker-registrar.ts'
import { fileCertificateAuthority } from './certificate-authority.ts'
import { fleetHandlers } from './fleet-handlers.ts'

const token = tokens.admin
const sha256Of = (pem: string) => createHash('sha256').update(new X509Certificate(pem).raw).digest('hex')
type Holder = { id: string; certificate: string; key: Parameters<typeof signRequest>[1]['key'] }

suite('renewal of certificates', { timeout: 60_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let api: ReturnType<typeof testApi>
  /** What the broker was told, and how often it is out of reach from now on. */
  const told: { what: string; sha256?: string; previous?: string | null }[] = []
  let outages = 0
  let issuedEarlier: ReturnType<typeof fileCertificateAuthority>
  before(async () => {
    db = resources.use(await startTestDatabase())
    const files = resources.use(await createTestAuthority())
    const authority = fileCertificateAuthority(files.config, systemClock)
    const monthsAgo = { now: () => new Date(Date.now() - 90 * 86_400_000) }
    issuedEarlier = fileCertificateAuthority(files.config, monthsAgo)
    const say = async (entry: (typeof told)[number]) => {
      if (outages > 0) {
        outages -= 1
        throw new TributaryError('UNAVAILABLE')
      }
      told.push(entry)
    }
    const registrar: BrokerRegistrar = {
      register: ({ kind, id, sha256, previousSha256: previous = null }) =>
        say({ what: `${kind} ${id}`, sha256, previous }),
      revoke: ({ kind, id }) => say({ what: `${kind} ${id} revoked` }),
    }
    const handlers = fleetHandlers({ ...testParts(db.database), authority, registrar })
    api = testApi('fleet', handlers, { database: db.database, authorityPem: files.pem })
    await api('POST', '/v1/regions', { token, body: { region: 'alps' } })
  })
  after(() => resources.disposeAsync())

  const register = async (what: 'devices' | 'regional-nodes', fields: Record<string, unknown>): Promise<Holder> => {
    const { csr, key } = await createRequest()
    const { status, body } = await api('POST', `/v1/${what}`, { token, body: { region: 'alps', csr, ...fields } })
    assert.equal(status, 201)
    return { id: body.id, certificate: body.certificate, key }
  }
  const renew = async (
    what: 'devices' | 'regional-nodes',
    { id, certificate: certificatePem, key }: Holder,
    csr: string,
    of = id,
  ) => {
    const path = `/v1/${what}/${of}/certificate`
    const body = JSON.stringify({ csr })
    const signed = await signRequest(id, { certificatePem, key, method: 'POST', path, body })
    return api('POST', path, { token: signed, body, key: null })
  }

  test('the certificate before stays good until the new one is used, so that a lost answer locks nobody out', async () => {
    const first = await register('devices', { label: 'd-1' })
    const request = await createRequest()
    const lost = await renew('devices', first, request.csr)
    assert.equal(lost.status, 201)
    const answer = await renew('devices', first, request.csr)
    assert.equal(answer.status, 201)
    assert.deepEqual([answer.body.id, answer.body.authority], [first.id, lost.body.authority])
    const second: Holder = { id: first.id, certificate: answer.body.certificate, key: request.key }
    const [row] = await db.sql`
      select certificate_sha256 as current, previous_certificate_sha256 as previous from device where id = ${first.id}`
    assert.deepEqual(row, { current: sha256Of(second.certificate), previous: sha256Of(first.certificate) })
    // What was never received is good for nothing.
    const never: Holder = { ...second, certificate: lost.body.certificate }
    assert.equal((await renew('devices', never, request.csr)).body.code, 'UNAUTHENTICATED')

    const third = await renew('devices', second, (await createRequest()).csr)
    assert.equal(third.status, 201)
    assert.equal((await renew('devices', first, request.csr)).body.code, 'UNAUTHENTICATED')
    const [after] = await db.sql`select previous_certificate_sha256 as previous from device where id = ${first.id}`
    assert.equal(after?.previous, sha256Of(second.certificate))
    const audited = await db.sql`
      select actor from audit_entry where action = 'device.certificate-renewed' and subject = ${`device/${first.id}`}`
    assert.deepEqual(
      audited.map(({ actor }) => actor),
      Array(3).fill(`device:${first.id}`),
    )
  })

  test('the new certificate lasts between seven and thirty days', async () => {
    const device = await register('devices', { label: 'd-days' })
    const { body } = await renew('devices', device, (await createRequest()).csr)
    const days = (new Date(new X509Certificate(body.certificate).validTo).getTime() - Date.now()) / 86_400_000
    assert.ok(days >= 7 && days <= 30, String(days))
  })

  test('a node gets its names again, whatever it asks for', async () => {
    const node = await register('regional-nodes', { name: 'n-1', hostnames: ['node.example', '127.0.0.1'] })
    const request = await createRequest()
    const { status, body } = await renew('regional-nodes', node, request.csr)
    assert.equal(status, 201)
    const certificate = new X509Certificate(body.certificate)
    assert.equal(certificate.subjectAltName, 'DNS:node.example, IP Address:127.0.0.1')
    assert.equal(certificate.subject, `CN=${node.id}\nOU=regional-node\nO=Tributary`)
    const next: Holder = { id: node.id, certificate: body.certificate, key: request.key }
    assert.equal((await renew('regional-nodes', next, request.csr)).status, 201)
    assert.equal((await renew('regional-nodes', node, request.csr)).body.code, 'UNAUTHENTICATED')
  })

  for (const [what, kind, fields] of [
    ['devices', 'device', { label: 'd-broker' }],
    ['regional-nodes', 'regional-node', { name: 'n-broker', hostnames: ['localhost'] }],
  ] as const) {
    test(`the broker hears of every certificate of ${what} that is good, and of their revocation`, async () => {
      told.length = 0
      const first = await register(what, fields)
      const name = `${kind} ${first.id}`
      const request = await createRequest()
      outages = 1
      const refused = await renew(what, first, request.csr)
      assert.deepEqual([refused.status, refused.body.code], [503, 'UNAVAILABLE'])
      // Asked again with what works still: the one that the broker did not hear of is good for nothing.
      const { body } = await renew(what, first, request.csr)
      const [before, now] = [sha256Of(first.certificate), sha256Of(body.certificate)]
      assert.deepEqual(told, [
        { what: name, sha256: before, previous: null },
        { what: name, sha256: now, previous: before },
      ])
      told.length = 0
      outages = 1
      for (const _ of [1, 2, 3]) {
        assert.equal((await api('POST', `/v1/${what}/${first.id}/revoke`, { token })).status, 200)
      }
      assert.deepEqual(told, [{ what: `${name} revoked` }, { what: `${name} revoked` }])
    })
  }

  test('an expired certificate, a revoked one and one of somebody else renew nothing, and say why', async () => {
    const device = await register('devices', { label: 'd-2' })
    const other = await register('devices', { label: 'd-3' })
    const node = await register('regional-nodes', { name: 'n-2', hostnames: ['localhost'] })
    const request = await createRequest()
    const publicKey = new X509Certificate(device.certificate).publicKey
    const { csr } = request
    assert.equal((await renew('devices', other, csr, device.id)).body.code, 'FORBIDDEN')
    assert.equal((await renew('devices', node, csr, device.id)).body.code, 'FORBIDDEN')
    assert.equal((await renew('devices', { ...device, key: other.key }, csr)).body.code, 'UNAUTHENTICATED')
    assert.equal((await renew('devices', device, 'x')).body.code, 'CSR_INVALID')
    assert.equal(
      (await api('POST', `/v1/devices/${device.id}/certificate`, { token, body: { csr } })).body.code,
      'FORBIDDEN',
    )

    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const { PublicKey } = await import('@peculiar/x509')
    const old = await issuedEarlier.issue({ kind: 'device', id: device.id, publicKey: new PublicKey(spki) })
    await db.sql`update device set certificate_sha256 = ${old.sha256} where id = ${device.id}`
    const expired = await renew('devices', { ...device, certificate: old.certificatePem }, csr)
    assert.deepEqual([expired.status, expired.body.code], [401, 'CERTIFICATE_EXPIRED'])
    assert.match(expired.body.detail, /expired at 20/)

    await api('POST', `/v1/devices/${other.id}/revoke`, { token })
    assert.equal((await renew('devices', other, csr)).body.code, 'CERTIFICATE_REVOKED')
  })
})
