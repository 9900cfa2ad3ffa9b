import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { S3ObjectStore } from '../adapters/s3-object-store.ts'
import { UpstashCache } from '../adapters/upstash-cache.ts'
import { Database } from '../database/database.ts'
import { createLog } from '../log.ts'
import { beat } from '../metrics/heartbeat.ts'
import { newestMigration } from '../migrations/newest-migration.ts'
import { memoryCache } from '../testing/memory-cache.ts'
import { startTcpProxy } from '../testing/tcp-proxy.ts'
import { testApi } from '../testing/test-api.ts'
import { startTestDatabase } from '../testing/test-database.ts'
import { startTestStore } from '../testing/test-store.ts'
import { getHealth } from './get-health.ts'

const log = createLog('silent', 'test')
const newest = newestMigration(fileURLToPath(new URL('../../migrations/', import.meta.url)))
const noCache = new UpstashCache({ url: 'http://127.0.0.1:1', token: 'x', log })

test('is degraded without cache or storage, and down without the database alone', { timeout: 60_000 }, async () => {
  await using db = await startTestDatabase()
  await using storage = await startTestStore()
  const ask = async (database: Database, store: S3ObjectStore | typeof storage.store) => {
    const api = testApi(
      'health',
      { getHealth: getHealth({ database, store, cache: noCache, log, newestMigration: newest }) },
      { database },
    )
    const { status, headers, body } = await api('GET', '/v1/health')
    // Load balancers look at the status alone, and keep nothing of an answer that says no.
    assert.equal(status, body.status === 'down' ? 503 : 200)
    assert.equal(headers.etag === undefined, body.status === 'down')
    return body
  }
  assert.deepEqual(await ask(db.database, storage.store), {
    status: 'degraded',
    checks: { postgres: 'ok', schema: 'ok', objectStorage: 'ok', redis: 'down', broker: 'ok', sweep: 'ok' },
  })
  const noBucket = new S3ObjectStore({ bucket: 'nothing-here', pathStyle: true })
  assert.equal((await ask(db.database, noBucket)).checks.objectStorage, 'down')
  await using nowhere = new Database({ url: 'postgres://u:p@127.0.0.1:1/x', log, name: 'x' })
  assert.deepEqual(await ask(nowhere, storage.store), {
    status: 'down',
    checks: {
      postgres: 'down',
      schema: 'down',
      objectStorage: 'ok',
      redis: 'down',
      broker: 'down',
      sweep: 'down',
    },
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
    { getHealth: getHealth({ database, store: storage.store, cache: noCache, log, newestMigration: newest }) },
    { database },
  )
  const ask = async () => (await api('GET', '/v1/health')).body.checks.postgres
  assert.equal(await ask(), 'ok')
  proxy.silence()
  assert.equal(await ask(), 'down')
  assert.equal(await ask(), 'ok')
})

test('tells a database that is behind, messages that do not leave and a sweep that does not come by', {
  timeout: 60_000,
}, async () => {
  await using db = await startTestDatabase()
  await using storage = await startTestStore()
  const cache = memoryCache()
  const healthOf = (newestMigration: string | null) =>
    testApi(
      'health',
      { getHealth: getHealth({ database: db.database, store: storage.store, cache, log, newestMigration }) },
      { database: db.database },
    )
  const ask = async (newestMigration: string | null = newest) =>
    (await healthOf(newestMigration)('GET', '/v1/health')).body as { status: string; checks: Record<string, string> }
  const faults = async (...given: Parameters<typeof ask>) => {
    const { status, checks } = await ask(...given)
    return [status, ...Object.keys(checks).filter(name => checks[name] !== 'ok')]
  }
  assert.deepEqual(await faults(), ['ok'])
  assert.deepEqual(await faults('9999-of-tomorrow.sql'), ['down', 'schema'])
  const message = (age: string) => db.sql`
    insert into outbox (message_id, exchange, routing_key, body, created_at)
    values (gen_random_uuid(), 'x', 'y', '{}', now() - ${age}::interval)`
  await message('20 seconds')
  assert.deepEqual(await faults(), ['ok'])
  await message('40 seconds')
  assert.deepEqual(await faults(), ['degraded', 'broker'])
  await db.sql`update outbox set sent_at = now()`
  await beat(db.database, 'sweep')
  const liveTask = [
    `insert into model (id, name, created_by) values ('01890a5d-ac96-774b-bcce-b302099a8057', 'm', 'x')`,
    `insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes, manifest_key, manifest_sha256,
       manifest_bytes, created_by)
     values ('01890a5d-ac96-774b-bcce-b302099a8058', '01890a5d-ac96-774b-bcce-b302099a8057', 0, 'ready', 'a', 'b', 1, 'c', 'd', 1, 'x')`,
    `insert into task (id, name, state, model, start_version, current_version, rounds_wanted, settings, seed, created_by, created_at)
     values ('01890a5d-ac96-774b-bcce-b302099a8059', 't', 'running', '01890a5d-ac96-774b-bcce-b302099a8057',
       '01890a5d-ac96-774b-bcce-b302099a8058', '01890a5d-ac96-774b-bcce-b302099a8058', 1, '{}', 's', 'x', now() - interval '1 hour')`,
  ]
  for (const statement of liveTask) await db.sql.unsafe(statement)
  assert.deepEqual(await faults(), ['ok'])
  await db.sql`update heartbeat set beat_at = now() - interval '4 minutes'`
  assert.deepEqual(await faults(), ['degraded', 'sweep'])
  await beat(db.database, 'sweep')
  assert.deepEqual(await faults(), ['ok'])
  await db.sql`drop table heartbeat`
  assert.deepEqual((await faults())[0], 'down')
})
