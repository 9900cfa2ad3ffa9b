import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Database } from '../database/database.ts'
import { fleetHandlers } from '../fleet/fleet-handlers.ts'
import { createLog } from '../log.ts'
import { startTcpProxy } from '../testing/tcp-proxy.ts'
import { testApi, testParts, tokens } from '../testing/test-api.ts'
import { startTestDatabase } from '../testing/test-database.ts'

const token = tokens.admin
// Nothing here signs a certificate.
const authority = { certificatePem: '', issue: () => Promise.reject(new Error('not in this test')) }

test('a request whose database falls silent is answered in time, and the next one does not wait for it', {
  timeout: 60_000,
}, async () => {
  await using db = await startTestDatabase()
  const url = new URL(db.url)
  await using proxy = await startTcpProxy(Number(url.port))
  url.port = String(proxy.port)
  await using database = new Database({ url: url.href, log: createLog('silent', 'test'), name: 'test' })
  const api = testApi('fleet', fleetHandlers({ ...testParts(database), authority }), { database })
  assert.equal((await api('GET', '/v1/regions', { token })).status, 200)
  proxy.silence()
  const late = await api('GET', '/v1/regions', { token, remainingMillis: 1000 })
  assert.equal(late.status, 503)
  assert.equal(late.body.code, 'UNAVAILABLE')
  assert.equal(late.headers['retry-after'], '1')
  assert.equal((await api('GET', '/v1/regions', { token, remainingMillis: 5000 })).status, 200)
})

test('a defect of ours is answered as INTERNAL with nothing but the request id', { timeout: 60_000 }, async () => {
  await using db = await startTestDatabase()
  const { database } = db
  const api = testApi('fleet', fleetHandlers({ ...testParts(database), authority }), { database })
  await db.sql`drop table device cascade`
  const { status, body } = await api('GET', '/v1/devices', { token })
  assert.equal(status, 500)
  assert.deepEqual(Object.keys(body).toSorted(), ['code', 'instance', 'status', 'title', 'type'])
})
