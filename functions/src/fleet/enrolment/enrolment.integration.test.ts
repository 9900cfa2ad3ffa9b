import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { systemClock } from '../../adapters/clock.ts'
import { Database } from '../../database/database.ts'
import { createLog } from '../../log.ts'
import { testApi, testParts, tokens } from '../../testing/test-api.ts'
import { createRequest, createTestAuthority } from '../../testing/test-certificates.ts'
import { startTestDatabase, type TestDatabase } from '../../testing/test-database.ts'
import { noRegistrar } from '../broker-registrar.ts'
import { fileCertificateAuthority } from '../certificate-authority.ts'
import { fleetHandlers } from '../fleet-handlers.ts'
import { newCode } from './code-text.ts'

const token = tokens.operator
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString()

suite('enrolment by code', { timeout: 120_000 }, () => {
  const resources = new AsyncDisposableStack()
  const registered: string[] = []
  let db: TestDatabase
  let apiOver: (database: Database) => ReturnType<typeof testApi>
  let api: ReturnType<typeof testApi>
  before(async () => {
    db = resources.use(await startTestDatabase())
    const files = resources.use(await createTestAuthority())
    const authority = fileCertificateAuthority(files.config, systemClock)
    const registrar = { ...noRegistrar, register: async ({ id }: { id: string }) => void registered.push(id) }
    apiOver = database =>
      testApi(
        'fleet',
        fleetHandlers({ ...testParts(database), authority, registrar, mqttUrl: 'mqtts://broker.example:8883' }),
        { database },
      )
    api = apiOver(db.database)
    await api('POST', '/v1/regions', { token: tokens.admin, body: { region: 'alps' } })
  })
  after(() => resources.disposeAsync())

  const makeCode = async (fields: Record<string, unknown> = {}) => {
    const body = { region: 'alps', count: 1, expiresAt: inAnHour(), ...fields }
    const { status, body: created } = await api('POST', '/v1/enrolment-codes', { token, body })
    assert.equal(status, 201, JSON.stringify(created))
    return created
  }
  const enrol = (body: Record<string, unknown>, through = api) =>
    through('POST', '/v1/devices/enrol', { body, key: null })
  const leftOf = async (id: string) =>
    (await db.sql`select uses_left from enrolment_code where id = ${id}`)[0]?.uses_left

  test('a code is shown once, kept as a hash alone, and makes a device of what it says', async () => {
    const key = 'the-key-of-one-code'
    const body = {
      region: 'alps',
      count: 2,
      expiresAt: inAnHour(),
      kind: 'evaluator',
      groups: ['labs'],
      labels: { site: 'north' },
      labelPrefix: 'lab',
    }
    const created = (await api('POST', '/v1/enrolment-codes', { token, body, key })).body
    const again = (await api('POST', '/v1/enrolment-codes', { token, body, key })).body
    assert.deepEqual(again, { ...created, code: null })
    const dump = JSON.stringify(
      await Promise.all([
        db.sql`select * from enrolment_code`,
        db.sql`select * from idempotency`,
        db.sql`select * from audit_entry`,
      ]),
    )
    assert.ok(!dump.includes(created.code))
    assert.equal(created.hint, created.code.slice(0, 5))

    const { csr } = await createRequest()
    const { status, body: device } = await enrol({ code: created.code.toLowerCase(), csr, label: 'scales' })
    assert.equal(status, 201, JSON.stringify(device))
    assert.deepEqual(
      [device.label, device.region, device.kind, device.endpoints, device.mqttUrl],
      ['lab-scales', 'alps', 'evaluator', [], 'mqtts://broker.example:8883'],
    )
    const certificate = new X509Certificate(device.certificate)
    assert.equal(certificate.subject, `CN=${device.id}\nOU=device\nO=Tributary`)
    const days = (Date.parse(device.expiresAt) - Date.now()) / 86_400_000
    assert.ok(days >= 7 && days <= 30)
    const shown = (await api('GET', `/v1/devices/${device.id}`, { token })).body
    assert.deepEqual([shown.groups, shown.labels, shown.kind], [['labs'], { site: 'north' }, 'evaluator'])
    assert.equal(shown.certificateSha256, createHash('sha256').update(certificate.raw).digest('hex'))
    assert.ok(registered.includes(device.id))

    const listed = (await api('GET', '/v1/enrolment-codes', { token, query: 'limit=1' })).body.items[0]
    assert.deepEqual([listed.id, listed.left, listed.state, 'code' in listed], [created.id, 1, 'live', false])
    const who = (await api('GET', `/v1/enrolment-codes/${created.id}/devices`, { token })).body.items
    assert.deepEqual(
      who.map((item: { device: string; label: string }) => [item.device, item.label]),
      [[device.id, 'lab-scales']],
    )
    const audited = await db.sql`select actor, action from audit_entry where subject = ${`device/${device.id}`}`
    assert.deepEqual([...audited], [{ actor: `enrolment-code:${created.id}`, action: 'device.enrolled' }])
  })

  test('of a hundred devices at once with a code for ten, ten enrol', async () => {
    const { id, code } = await makeCode({ count: 10, labelPrefix: 'rush' })
    const log = createLog('silent', 'x')
    const pools = Array.from({ length: 20 }, () => new Database({ url: db.url, log, name: 'x' }))
    const requests = await Promise.all(Array.from({ length: 100 }, () => createRequest()))
    const answers = await Promise.all(
      requests.map(({ csr }, index) => enrol({ code, csr }, apiOver(pools[index % pools.length] as Database))),
    )
    await Promise.all(pools.map(pool => pool[Symbol.asyncDispose]()))
    const counts = Map.groupBy(answers, ({ status, body }) => `${status} ${body.code ?? ''}`)
    assert.deepEqual([...counts].map(([what, all]) => [what, all.length]).sort(), [
      ['201 ', 10],
      ['409 CODE_USED_UP', 90],
    ])
    assert.equal(await leftOf(id), 0)
    assert.equal((await db.sql`select from device where label like 'rush-%'`).length, 10)
  })

  test('the same key again is the same device and uses up nothing, also when asked ten times at once', async () => {
    const { id, code } = await makeCode({ count: 2 })
    const { csr } = await createRequest()
    const log = createLog('silent', 'x')
    const pools = Array.from({ length: 10 }, () => new Database({ url: db.url, log, name: 'x' }))
    const answers = await Promise.all(pools.map(pool => enrol({ code, csr }, apiOver(pool))))
    await Promise.all(pools.map(pool => pool[Symbol.asyncDispose]()))
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]))
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
    assert.equal(await leftOf(id), 1)
    // Another device takes the last use; the first may still ask for what it lost.
    assert.equal((await enrol({ code, csr: (await createRequest()).csr })).status, 201)
    const late = await enrol({ code, csr })
    assert.equal(late.body.id, answers[0]?.body.id)
    assert.equal((await enrol({ code, csr: (await createRequest()).csr })).body.code, 'CODE_USED_UP')
    const device = (await api('GET', `/v1/devices/${late.body.id}`, { token })).body
    const sha256 = createHash('sha256').update(new X509Certificate(late.body.certificate).raw).digest('hex')
    assert.equal(device.certificateSha256, sha256)
    // Whose device was revoked does not come back by its old key.
    await api('POST', `/v1/devices/${late.body.id}/revoke`, { token: tokens.admin })
    assert.equal((await enrol({ code, csr })).body.code, 'CERTIFICATE_REVOKED')
  })

  test('a refusal says what is wrong and uses up nothing', async () => {
    const { id, code } = await makeCode({ count: 1 })
    const { csr } = await createRequest()
    const typo = `${code.slice(0, -1)}${code.endsWith('0') ? '1' : '0'}`
    const cases: [string, number, Record<string, unknown>][] = [
      ['CODE_MISTYPED', 422, { code: typo, csr }],
      ['CODE_UNKNOWN', 422, { code: newCode(), csr }],
      ['CSR_INVALID', 422, { code, csr: 'x' }],
      ['BODY_INVALID', 400, { code, csr, label: 'Not a slug' }],
      ['BODY_INVALID', 400, { code, csr, more: 1 }],
    ]
    for (const [wanted, status, body] of cases) {
      const answer = await enrol(body)
      assert.deepEqual([answer.body.code, answer.status], [wanted, status])
    }
    await enrol({ code: (await makeCode()).code, csr: (await createRequest()).csr, label: 'taken' })
    assert.equal((await enrol({ code, csr, label: 'taken' })).body.code, 'NAME_TAKEN')
    assert.equal(await leftOf(id), 1)

    assert.equal((await api('POST', `/v1/enrolment-codes/${id}/revoke`, { token })).body.state, 'revoked')
    assert.equal((await api('POST', `/v1/enrolment-codes/${id}/revoke`, { token })).status, 200)
    assert.equal((await enrol({ code, csr })).body.code, 'CODE_EXPIRED')
    const over = await makeCode()
    await db.sql`update enrolment_code set expires_at = now() where id = ${over.id}`
    assert.deepEqual([(await enrol({ code: over.code, csr })).body.code], ['CODE_EXPIRED'])
    const audited = await db.sql`select from audit_entry where action = 'enrolment-code.revoked'`
    assert.equal(audited.length, 1)
  })

  test('codes are made for a known region and a time to come, by operators', async () => {
    const post = (fields: Record<string, unknown>, as: string = token) =>
      api('POST', '/v1/enrolment-codes', { token: as, body: { region: 'alps', expiresAt: inAnHour(), ...fields } })
    assert.equal((await post({}, tokens.viewer)).body.code, 'FORBIDDEN')
    assert.equal((await post({ region: 'moon' })).body.code, 'REGION_UNKNOWN')
    assert.equal((await post({ expiresAt: new Date(Date.now() - 1000).toISOString() })).body.code, 'BODY_INVALID')
    assert.equal((await post({ expiresAt: '2999-01-01T00:00:00Z' })).body.code, 'BODY_INVALID')
    assert.equal((await post({ count: 0 })).body.code, 'BODY_INVALID')
    assert.equal((await api('GET', '/v1/enrolment-codes', { token: tokens.viewer })).body.code, 'FORBIDDEN')
  })
})
