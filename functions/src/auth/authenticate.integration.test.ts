import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { systemClock } from '../adapters/clock.ts'
import { uuidV7Ids } from '../adapters/ids.ts'
import { fileCertificateAuthority } from '../fleet/certificate-authority.ts'
import { fleetHandlers } from '../fleet/fleet-handlers.ts'
import type { Handlers } from '../http/handler.ts'
import { reportNodeLogs } from '../regional-nodes/report-node-logs.ts'
import { testApi, testParts, tokens } from '../testing/test-api.ts'
import { createRequest, createTestAuthority, signRequest } from '../testing/test-certificates.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { failuresPerWindow, failureWindowSeconds } from './limit-failures.ts'

const token = tokens.admin

suite('nodes and devices at the API', { timeout: 60_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let fleet: ReturnType<typeof testApi>
  let nodes: ReturnType<typeof testApi>
  let options: Parameters<typeof testApi>[2]
  let handlers: Handlers<'regional-nodes'>
  /** Lives in seconds of what the cache was given to keep. */
  const kept = new Map<string, number>()
  before(async () => {
    db = resources.use(await startTestDatabase())
    const files = resources.use(await createTestAuthority())
    const parts = testParts(db.database)
    const authority = fileCertificateAuthority(files.config, systemClock)
    const cache = {
      add: async () => null,
      addIfAbsent: async (key: string, seconds: number) => {
        if (kept.has(key)) return false
        kept.set(key, seconds)
        return true
      },
    }
    options = { database: db.database, authorityPem: files.pem, cache }
    fleet = testApi('fleet', fleetHandlers({ ...parts, authority }), options)
    const notAsked = () => Promise.reject(new Error('not in this test'))
    handlers = { reportNodeStatus: notAsked, reportNodeLogs: reportNodeLogs(parts) }
    nodes = testApi('regional-nodes', handlers, options)
    await fleet('POST', '/v1/regions', { token, body: { region: 'alps' } })
  })
  after(() => resources.disposeAsync())

  const register = async (path: string, more: Record<string, unknown>) => {
    const { csr, key } = await createRequest()
    const { body } = await fleet('POST', path, { token, body: { region: 'alps', csr, ...more } })
    return { id: body.id as string, certificatePem: body.certificate as string, key }
  }
  const node = (name: string) => register('/v1/regional-nodes', { name, hostnames: ['localhost'] })
  const logs = () =>
    JSON.stringify({
      batch: uuidV7Ids.next(),
      entries: [{ time: '2026-01-02T03:04:05.678Z', level: 'info', message: 'hello' }],
    })
  const report = async (holder: Awaited<ReturnType<typeof node>>, id = holder.id) => {
    const path = `/v1/regional-nodes/${id}/logs`
    const body = logs()
    const signed = await signRequest(holder.id, { ...holder, method: 'POST', path, body })
    return nodes('POST', path, { token: signed, body, key: null })
  }

  test('a node reports under its own id and no other', async () => {
    const one = await node('one')
    const two = await node('two')
    assert.equal((await report(one)).status, 204)
    assert.equal((await db.sql`select from log_entry where node = ${one.id}`).length, 1)
    assert.equal((await report(one, two.id)).body.code, 'NODE_MISMATCH')
  })

  test('a body that was changed on the way is refused', async () => {
    const one = await node('three')
    const path = `/v1/regional-nodes/${one.id}/logs`
    const signed = await signRequest(one.id, { ...one, method: 'POST', path, body: logs() })
    const { status, body } = await nodes('POST', path, { token: signed, body: logs(), key: null })
    assert.equal(status, 401)
    assert.deepEqual(Object.keys(body).toSorted(), ['code', 'instance', 'status', 'title', 'type'])
  })

  test('a request that comes twice is refused the second time; signed anew, or without the cache, it is taken', async () => {
    const one = await node('replayed')
    const path = `/v1/regional-nodes/${one.id}/logs`
    const body = logs()
    const sign = () => signRequest(one.id, { ...one, method: 'POST', path, body })
    const send = (signed: string, api = nodes) => api('POST', path, { token: signed, body, key: null })
    const first = await sign()
    assert.equal((await send(first)).status, 204)
    assert.equal((await send(first)).body.code, 'UNAUTHENTICATED')
    assert.equal((await send(await sign())).status, 204)
    const noCache = { add: async () => null, addIfAbsent: async () => null }
    const without = testApi('regional-nodes', handlers, { ...options, cache: noCache })
    assert.equal((await send(first, without)).status, 204)
    assert.ok([...kept.values()].every(seconds => seconds > 85 && seconds <= 90))
  })

  test('a device is no node, a person is no node, and a node is no person', async () => {
    const device = await register('/v1/devices', { label: 'd-1' })
    assert.equal((await report(device)).body.code, 'FORBIDDEN')
    const one = await node('four')
    const path = `/v1/regional-nodes/${one.id}/logs`
    assert.equal((await nodes('POST', path, { token, body: logs(), key: null })).body.code, 'FORBIDDEN')
    const signed = await signRequest(one.id, { ...one, method: 'GET', path: '/v1/regions' })
    assert.equal((await fleet('GET', '/v1/regions', { token: signed })).body.code, 'FORBIDDEN')
  })

  test('whoever keeps guessing is told to wait, and a token that is in use goes on', async () => {
    const get = (guess: string) => fleet('GET', '/v1/regions', { token: guess })
    let refused = await get('guess')
    // Twice the number of a window, so that one that ends meanwhile changes nothing.
    for (let n = 0; n < 2 * failuresPerWindow && refused.status !== 429; n += 1) refused = await get(`guess-${n}`)
    assert.equal(refused.body.code, 'RATE_LIMITED')
    const seconds = Number(refused.headers['retry-after'])
    assert.ok(seconds >= 1 && seconds <= failureWindowSeconds)
    assert.equal((await get(token)).status, 200)
  })

  test('a revoked certificate is refused at once, an older or unknown one too', async () => {
    const one = await node('five')
    await db.sql`update regional_node set certificate_sha256 = ${'0'.repeat(64)} where id = ${one.id}`
    assert.equal((await report(one)).body.code, 'UNAUTHENTICATED')
    const two = await node('six')
    assert.equal((await fleet('POST', `/v1/regional-nodes/${two.id}/revoke`, { token })).status, 200)
    assert.equal((await report(two)).body.code, 'CERTIFICATE_REVOKED')
    const three = await node('seven')
    await db.sql`delete from regional_node where id = ${three.id}`
    assert.equal((await report(three)).body.code, 'UNAUTHENTICATED')
  })
})
