import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { systemClock } from '../adapters/clock.ts'
import { Database } from '../database/database.ts'
import { createLog } from '../log.ts'
import { testApi, testParts, tokens } from '../testing/test-api.ts'
import { createRequest, createTestAuthority } from '../testing/test-certificates.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { fileCertificateAuthority } from './certificate-authority.ts'
import { fleetHandlers } from './fleet-handlers.ts'

const token = tokens.admin

suite('the fleet API', { timeout: 60_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let apiOver: (database: Database) => ReturnType<typeof testApi>
  let api: ReturnType<typeof testApi>
  let parts: ReturnType<typeof testParts>
  before(async () => {
    db = resources.use(await startTestDatabase())
    const files = resources.use(await createTestAuthority())
    const authority = fileCertificateAuthority(files.config, systemClock)
    parts = testParts(db.database)
    apiOver = database => testApi('fleet', fleetHandlers({ ...parts, database, authority }), { database })
    api = apiOver(db.database)
  })
  after(() => resources.disposeAsync())

  test('creates a region with its shards and refuses its name a second time', async () => {
    const created = await api('POST', '/v1/regions', { token, body: { region: 'alps', shardCount: 3 } })
    assert.equal(created.status, 201)
    assert.equal(created.body.shards.length, 3)
    const again = await api('POST', '/v1/regions', { token, body: { region: 'alps' } })
    assert.equal(again.status, 409)
    assert.equal(again.body.code, 'NAME_TAKEN')
    const listed = await api('GET', '/v1/regions', { token })
    assert.deepEqual(listed.body, { items: [created.body], next: null })
  })

  test('shows one region, changes what is named, and audits a change once', async () => {
    const put = (body: object, as: string = token) =>
      api('PUT', '/v1/regions/alps', { token: as, body, key: crypto.randomUUID() })
    assert.equal((await put({ name: 'x' }, tokens.operator)).body.code, 'FORBIDDEN')
    const { status, body } = await put({ name: 'The Alps', taskSlots: 2 })
    assert.equal(status, 200)
    assert.deepEqual([body.name, body.taskSlots, body.shardCount, body.pendingShardCount], ['The Alps', 2, 3, null])
    assert.deepEqual((await put({ taskSlots: 2 })).body, body)
    assert.deepEqual((await api('GET', '/v1/regions/alps', { token: tokens.viewer })).body, body)
    assert.equal((await put({ taskSlots: null })).body.taskSlots, null)
    assert.equal((await put({ shardCount: 5000 })).body.code, 'BODY_INVALID')
    assert.equal((await put({ shards: 2 })).body.code, 'BODY_INVALID')
    const nowhere = await api('PUT', '/v1/regions/moon', { token, body: {}, key: crypto.randomUUID() })
    assert.equal(nowhere.body.code, 'NOT_FOUND')
    assert.equal((await api('GET', '/v1/regions/moon', { token })).body.code, 'NOT_FOUND')
    const audited = await db.sql`select from audit_entry where action = 'region.updated'`
    assert.equal(audited.length, 2)
  })

  test('shows a node with its load, and whether it is there', async () => {
    const { csr } = await createRequest()
    const named = { region: 'alps', name: 'to-see', csr, hostnames: ['localhost'] }
    const { id } = (await api('POST', '/v1/regional-nodes', { token, body: named })).body
    const show = async () => (await api('GET', `/v1/regional-nodes/${id}`, { token: tokens.viewer })).body
    const fresh = await show()
    assert.deepEqual([fresh.online, fresh.load, fresh.lastSeenAt, fresh.shards], [false, null, null, []])
    const load = { rssBytes: 5, connections: 2, draining: false }
    await db.sql`
      update regional_node set last_seen_at = now(), version = '0.1.0', endpoint = 'localhost:1', load = ${db.sql.json(load)}
      where id = ${id}`
    const seen = await show()
    assert.deepEqual([seen.online, seen.load, seen.version], [true, load, '0.1.0'])
    await db.sql`update regional_node set last_seen_at = now() - interval '21 seconds' where id = ${id}`
    assert.equal((await show()).online, false)
    await api('POST', `/v1/regional-nodes/${id}/revoke`, { token })
    const unknown = '01890a5d-ac96-774b-bcce-b302099a8057'
    assert.equal((await api('GET', `/v1/regional-nodes/${unknown}`, { token })).body.code, 'NOT_FOUND')
  })

  test('registers a node with a certificate for its names', async () => {
    const { csr } = await createRequest()
    const body = { region: 'alps', name: 'node-1', csr, hostnames: ['localhost', '127.0.0.1'] }
    const { status, body: node } = await api('POST', '/v1/regional-nodes', { token, body })
    assert.equal(status, 201)
    const certificate = new X509Certificate(node.certificate)
    assert.match(certificate.subject, new RegExp(`CN=${node.id}`))
    const [row] = await db.sql`select certificate_sha256 from regional_node where id = ${node.id}`
    assert.equal(row?.certificate_sha256, createHash('sha256').update(certificate.raw).digest('hex'))
    const listed = await api('GET', '/v1/regional-nodes', { token: tokens.viewer })
    assert.deepEqual(
      listed.body.items.map(({ name, shards }: { name: string; shards: unknown }) => ({ name, shards })),
      [{ name: 'node-1', shards: [] }],
    )
    assert.equal((await api('POST', '/v1/regional-nodes', { token, body })).body.code, 'NAME_TAKEN')
    const wrong = { ...body, name: 'node-2', hostnames: ['ok.example', 'not a name'] }
    const refused = await api('POST', '/v1/regional-nodes', { token, body: wrong })
    assert.equal(refused.body.code, 'BODY_INVALID')
    assert.equal(refused.body.errors[0].path, 'hostnames.1')
    const nowhere = { ...body, name: 'node-3', region: 'moon' }
    assert.equal((await api('POST', '/v1/regional-nodes', { token, body: nowhere })).body.code, 'REGION_UNKNOWN')
  })

  test('revokes a node, whose leases end at once and whose name is free again', async () => {
    const register = async () => {
      const { csr } = await createRequest()
      const body = { region: 'alps', name: 'to-revoke', csr, hostnames: ['localhost'] }
      return (await api('POST', '/v1/regional-nodes', { token, body })).body
    }
    const { id } = await register()
    assert.equal((await register()).code, 'NAME_TAKEN')
    await db.sql`
      update region_shard set node = ${id}, epoch = 4, lease_expires_at = now() + interval '20 s', devices_online = 3
      where region = 'alps' and shard = 1`
    const revoke = (as: string = token) => api('POST', `/v1/regional-nodes/${id}/revoke`, { token: as })
    assert.equal((await revoke(tokens.operator)).body.code, 'FORBIDDEN')
    const { status, body } = await revoke()
    assert.equal(status, 200)
    assert.deepEqual(
      { id: body.id, name: body.name, revoked: body.revoked, shards: body.shards },
      { id, name: 'to-revoke', revoked: true, shards: [] },
    )
    const [shard] = await db.sql`
      select epoch, lease_expires_at > now() as live, devices_online as online from region_shard where node = ${id}`
    assert.deepEqual(shard, { epoch: 4, live: false, online: 0 })
    assert.equal((await revoke()).status, 200)
    const audited = await db.sql`
      select actor, detail from audit_entry where action = 'regional-node.revoked' and subject = ${`regional-node/${id}`}`
    assert.deepEqual(
      [...audited],
      [{ actor: 'token:admin', detail: { region: 'alps', shards: [{ shard: 1, epoch: 4 }] } }],
    )
    const listed = await api('GET', '/v1/regional-nodes', { token, query: 'limit=200' })
    assert.ok(!listed.body.items.some((item: { id: string }) => item.id === id))
    const again = await register()
    assert.notEqual(again.id, id)
    const unknown = '01890a5d-ac96-774b-bcce-b302099a8057'
    assert.equal((await api('POST', `/v1/regional-nodes/${unknown}/revoke`, { token })).body.code, 'NOT_FOUND')
  })

  test('registers, shows, pages and revokes devices', async () => {
    const ids: string[] = []
    for (const label of ['d-3', 'd-1', 'd-2']) {
      const { csr } = await createRequest()
      const body = { region: 'alps', label, csr, groups: ['g', 'g'] }
      const { body: device } = await api('POST', '/v1/devices', { token, body })
      ids.push(device.id)
    }
    const first = await api('GET', '/v1/devices', { token, query: 'limit=2&region=alps' })
    assert.deepEqual(
      first.body.items.map((item: { label: string }) => item.label),
      ['d-1', 'd-2'],
    )
    const second = await api('GET', '/v1/devices', { token, query: `limit=2&cursor=${first.body.next}` })
    assert.deepEqual(
      second.body.items.map((item: { label: string }) => item.label),
      ['d-3'],
    )
    assert.equal(second.body.next, null)
    const id = ids[0] as string
    const shown = (await api('GET', `/v1/devices/${id}`, { token })).body
    const shard = Number(BigInt(`0x${createHash('sha256').update(id).digest('hex')}`) % 3n)
    assert.deepEqual(
      { ...shown, createdAt: 0, certificateSha256: 0, certificateExpiresAt: 0 },
      {
        id,
        region: 'alps',
        shard,
        label: 'd-3',
        kind: 'trainer',
        datasetDescriptions: null,
        groups: ['g'],
        labels: {},
        revoked: false,
        createdAt: 0,
        certificateSha256: 0,
        certificateExpiresAt: 0,
        presence: null,
      },
    )
    const sequences = () =>
      db.sql`select sequence from device where id = ${id}`.then(([row]) => row?.sequence as number)
    const before = await sequences()
    parts.woken.relay = 0
    assert.equal((await api('POST', `/v1/devices/${id}/revoke`, { token })).body.revoked, true)
    assert.ok((await sequences()) > before)
    assert.equal(parts.woken.relay, 1)
    const revokedAgain = await api('POST', `/v1/devices/${id}/revoke`, { token })
    assert.equal(revokedAgain.status, 200)
    assert.equal(parts.woken.relay, 1)
    const { csr } = await createRequest()
    const enrolledAgain = await api('POST', '/v1/devices', { token, body: { region: 'alps', label: 'd-3', csr } })
    assert.equal(enrolledAgain.status, 201)
    const twice = await api('POST', '/v1/devices', { token, body: { region: 'alps', label: 'd-3', csr } })
    assert.equal(twice.body.code, 'NAME_TAKEN')
    const sent = await db.sql`select exchange, routing_key, body->'data' as data, body->>'type' as type from outbox`
    assert.deepEqual(
      [...sent],
      [{ exchange: 'tributary.commands', routing_key: 'region.alps', data: { device: id }, type: 'device.revoked' }],
    )
  })

  test('has one effect and one answer for ten equal requests at once', async () => {
    const pools = Array.from(
      { length: 10 },
      () => new Database({ url: db.url, log: createLog('silent', 'x'), name: 'x' }),
    )
    const { csr } = await createRequest()
    const body = { region: 'alps', label: 'ten-at-once', csr }
    const answers = await Promise.all(
      pools.map(database => apiOver(database)('POST', '/v1/devices', { token, body, key: 'key-of-ten-requests' })),
    )
    await Promise.all(pools.map(pool => pool[Symbol.asyncDispose]()))
    assert.deepEqual(new Set(answers.map(answer => answer.status)), new Set([201]))
    assert.equal(new Set(answers.map(answer => JSON.stringify(answer.body))).size, 1)
    const audited = await db.sql`select from audit_entry where subject = ${`device/${answers[0]?.body.id}`}`
    assert.equal(audited.length, 1)
  })

  test('gives a key of one request to no other, and frees it when the request was refused', async () => {
    const key = 'a-key-that-is-used'
    const body = { region: 'jura' }
    const first = await api('POST', '/v1/regions', { token, body, key })
    assert.deepEqual(
      (await api('POST', '/v1/regions', { token, body: { region: 'jura', shardCount: 1 }, key })).body,
      first.body,
    )
    assert.equal(
      (await api('POST', '/v1/regions', { token, body: { region: 'vosges' }, key })).body.code,
      'IDEMPOTENCY_CONFLICT',
    )
    const refusedKey = 'a-key-that-is-refused'
    assert.equal((await api('POST', '/v1/regions', { token, body, key: refusedKey })).body.code, 'NAME_TAKEN')
    assert.equal((await api('POST', '/v1/regions', { token, body: { region: 'vosges' }, key: refusedKey })).status, 201)
    for (const missing of [null, 'short', 'x'.repeat(65), 'not visible']) {
      const { body: problem } = await api('POST', '/v1/regions', { token, body, key: missing })
      assert.equal(problem.code, 'IDEMPOTENCY_KEY_REQUIRED')
    }
  })

  test('answers what is wrong with a request by its catalogue code, and nothing private', async () => {
    const post = (options: Parameters<typeof api>[2]) => api('POST', '/v1/regions', { token, ...options })
    const cases: [string, number, ReturnType<typeof api>][] = [
      ['BAD_JSON', 400, post({ body: '{"region":' })],
      ['BAD_JSON', 400, post({})],
      ['BODY_INVALID', 400, post({ body: { region: 'x', unknown: 1 } })],
      ['BODY_INVALID', 400, post({ body: '{"region":"x","__proto__":{"admin":true}}' })],
      ['BODY_INVALID', 400, post({ body: { region: 7 } })],
      ['BODY_INVALID', 400, post({ body: '[]' })],
      ['BODY_INVALID', 400, post({ body: { region: 'x', name: 'a\0b' } })],
      ['BODY_INVALID', 400, post({ body: '{"region":"x","name":"\\ud800"}' })],
      ['BODY_INVALID', 400, post({ body: { region: '../../etc' } })],
      ['BODY_TOO_LARGE', 413, post({ body: { region: 'x', name: 'y'.repeat(10_000_000) } })],
      ['BODY_TOO_LARGE', 413, post({ body: { region: 'x', name: 'y'.repeat(70_000) }, base64: true })],
      ['BODY_TOO_LARGE', 413, api('GET', '/v1/regions', { token, body: '{}' })],
      ['MEDIA_TYPE_UNSUPPORTED', 415, post({ body: { region: 'x' }, headers: { 'content-type': 'text/plain' } })],
      ['MEDIA_TYPE_UNSUPPORTED', 415, post({ body: { region: 'x' }, headers: { 'content-encoding': 'gzip' } })],
      ['QUERY_INVALID', 400, api('GET', '/v1/regions', { token, query: 'limit=0' })],
      ['QUERY_INVALID', 400, api('GET', '/v1/regions', { token, query: 'limit=1&limit=2' })],
      ['QUERY_INVALID', 400, api('GET', '/v1/regions', { token, query: 'sort=x' })],
      ['QUERY_INVALID', 400, api('GET', '/v1/regions', { token, query: 'cursor=%00' })],
      ['ID_INVALID', 400, api('GET', '/v1/devices/..%2f..%2fetc%2fpasswd', { token })],
      ['ID_INVALID', 400, api('GET', '/v1/devices/..', { token })],
      ['ID_INVALID', 400, api('GET', `/v1/devices/${'9'.repeat(4000)}`, { token })],
      ['NOT_FOUND', 404, api('GET', '/v1/devices/01890a5d-ac96-774b-bcce-b302099a8057', { token })],
      ['ROUTE_UNKNOWN', 404, api('GET', '/v1/regions/x/y', { token })],
      ['METHOD_NOT_ALLOWED', 405, api('DELETE', '/v1/regions', { token })],
      ['UNAUTHENTICATED', 401, api('GET', '/v1/regions')],
      ['UNAUTHENTICATED', 401, api('GET', '/v1/regions', { token: 'wrong' })],
      ['FORBIDDEN', 403, api('POST', '/v1/regions', { token: tokens.operator, body: { region: 'x' } })],
      ['CSR_INVALID', 422, api('POST', '/v1/devices', { token, body: { region: 'alps', label: 'x', csr: 'x' } })],
    ]
    for (const [code, status, request] of cases) {
      const answer = await request
      assert.equal(answer.body.code, code, JSON.stringify(answer.body))
      assert.equal(answer.status, status)
      assert.equal(answer.headers['content-type'], 'application/problem+json')
      assert.equal(answer.body.instance, answer.headers['x-request-id'])
      assert.ok(!JSON.stringify(answer.body).includes('functions/src'))
    }
    assert.equal((await api('DELETE', '/v1/regions', { token })).headers.allow, 'POST, GET')
    const text = await post({ body: { region: 'base64', name: 'é' }, base64: true })
    assert.equal(text.body.name, 'é')
  })

  test('sends an ETag with what is read and 304 to whoever has it', async () => {
    const first = await api('GET', '/v1/regional-nodes', { token })
    const etag = String(first.headers.etag)
    assert.match(etag, /^W\/"[\w-]{22}"$/)
    assert.equal(first.headers['cache-control'], 'no-store')
    assert.equal(first.headers['x-content-type-options'], 'nosniff')
    for (const known of [etag, etag.slice(2), `"x", ${etag}`, '*']) {
      const again = await api('GET', '/v1/regional-nodes', { token, headers: { 'if-none-match': known } })
      assert.equal(again.status, 304)
      assert.equal(again.body, undefined)
      assert.equal(again.headers.etag, etag)
    }
    assert.equal((await api('GET', '/v1/regional-nodes', { token, headers: { 'if-none-match': '"x"' } })).status, 200)
  })
})
