import assert from 'node:assert/strict'
import { test } from 'node:test'
import { S3ObjectStore } from '../adapters/s3-object-store.ts'
import { UpstashCache } from '../adapters/upstash-cache.ts'
import { Database } from '../database/database.ts'
import { createLog } from '../log.ts'
import { startTcpProxy } from '../testing/tcp-proxy.ts'
import { testApi } from '../testing/test-api.ts'
import { startTestDatabase } from '../testing/test-database.ts'
import { startTestStore } from '../testing/test-store.ts'
import { getHealth } from './get-health.ts'

const log = createLog('silent', 'test')
const noCache = new UpstashCache({ url: 'http://127.0.0.1:1', token: 'x', log })

test('is degraded without cache or storage, and down without the database alone', { timeout: 60_000 }, async () => {
  await using db = await startTestDatabase()
  await using storage = await startTestStore()
  const ask = async (database: Database, store: S3ObjectStore | typeof storage.store) => {
    const api = testApi('health', { getHealth: getHealth({ database, store, cache: noCache, log }) }, { database })
    return (await api('GET', '/v1/health')).body
  }
  assert.deepEqual(await ask(db.database, storage.store), {
    status: 'degraded',
    checks: { postgres: 'ok', objectStorage: 'ok', redis: 'down' },
  })
  const noBucket = new S3ObjectStore({ bucket: 'nothing-here', pathStyle: true })
  assert.equal((await ask(db.database, noBucket)).checks.objectStorage, 'down')
  await using nowhere = new Database({ url: 'postgres://u:p@127.0.0.1:1/x', log, name: 'x' })
  assert.deepEqual(await ask(nowhere, storage.store), {
    status: 'down',
    checks: { postgres: 'down', objectStorage: 'ok', redis: 'down' },
  })
})

test('is down only once when its connection to the database has fallen silent', { timeout: 60_000 }, async () => {
  await using db = await startTestDatabase()
  await using storage = await startTestStore()
  const url = new URL(db.url)
  await using proxy = await startTcpProxy(Number(url.port))
  url.host = `127.0.0.1:${proxy.port}`
  await using database = new Database({ url: url.href, log, name: 'x' })
  const api = testApi(
    'health',
    { getHealth: getHealth({ database, store: storage.store, cache: noCache, log }) },
    { database },
  )
  const ask = async () => (await api('GET', '/v1/health')).body.checks.postgres
  assert.equal(await ask(), 'ok')
  proxy.silence()
  assert.equal(await ask(), 'down')
  assert.equal(await ask(), 'ok')
})
