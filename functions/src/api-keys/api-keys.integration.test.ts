import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { apiKeyRegister } from '../auth/api-key-register.ts'
import { newApiKey } from '../auth/api-key-text.ts'
import { platformHandlers } from '../platform/platform-handlers.ts'
import { memoryCache } from '../testing/memory-cache.ts'
import { testApi, testParts, tokens } from '../testing/test-api.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'

const token = tokens.admin
const refused = (code: string) => (error: unknown) => (error as { code?: string }).code === code

suite('API keys', { timeout: 60_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let api: ReturnType<typeof testApi>
  before(async () => {
    db = resources.use(await startTestDatabase())
    const { database } = db
    api = testApi('platform', platformHandlers(testParts(database)), { database })
  })
  after(() => resources.disposeAsync())

  const create = async (body: Record<string, unknown>, options: Parameters<typeof api>[2] = {}) => {
    const { status, body: answer } = await api('POST', '/v1/api-keys', { token, body, ...options })
    assert.equal(status, 201, JSON.stringify(answer))
    return answer as { id: string; key: string; hint: string }
  }
  const expire = (id: string) => db.sql`update api_key set expires_at = now() - interval '1 second' where id = ${id}`

  test('a key is shown once, kept as a hash, and works with its role', async () => {
    const key = '01890a5d-ac96-774b-bcce-b302099a8057'
    const made = await create({ name: 'ci', role: 'viewer' }, { key })
    assert.equal((await create({ name: 'ci', role: 'viewer' }, { key })).key, null, 'a repetition')
    const rows = await db.sql<Record<string, unknown>[]>`select * from api_key where id = ${made.id}`
    const audited = await db.sql`select * from audit_entry where subject = ${`api-key/${made.id}`}`
    const stored = await db.sql`select * from idempotency`
    assert.equal(audited.length, 1)
    for (const kept of [rows, audited, stored]) assert.equal(JSON.stringify(kept).includes(made.key), false)
    assert.equal(made.key.startsWith(made.hint), true)
    const listed = (await api('GET', '/v1/api-keys', { token })).body.items[0]
    assert.deepEqual([listed.id, listed.state, listed.scopes, 'key' in listed], [made.id, 'live', null, false])
    assert.equal((await api('GET', '/v1/api-keys', { token: made.key })).body.code, 'FORBIDDEN')
    const shown = await api('GET', `/v1/api-keys/${made.id}`, { token })
    assert.ok(shown.body.lastUsedAt !== null)
  })

  test('an administrator acts by a key under its id, within its scopes', async () => {
    const made = await create({ name: 'reader', role: 'admin', scopes: ['platform:read'] })
    assert.equal((await api('GET', '/v1/api-keys', { token: made.key })).status, 200)
    const denied = await api('POST', `/v1/api-keys/${made.id}/revoke`, { token: made.key })
    assert.deepEqual([denied.status, denied.body.code, denied.body.scope], [403, 'SCOPE_MISSING', 'platform:write'])
    const writer = await create({ name: 'writer', role: 'admin' })
    const other = await create({ name: 'other', role: 'viewer' }, { token: writer.key })
    const [entry] = await db.sql`select actor from audit_entry where subject = ${`api-key/${other.id}`}`
    assert.equal(entry?.actor, `api-key:${writer.id}`)
  })

  test('a narrowed key makes no wider one', async () => {
    const narrow = await create({ name: 'narrow', role: 'admin', scopes: ['platform:write', 'tasks:read'] })
    for (const scopes of [null, ['tasks:write'], ['platform:write', 'fleet:read']]) {
      const { body } = await api('POST', '/v1/api-keys', {
        token: narrow.key,
        body: { name: 'x', role: 'admin', scopes },
      })
      assert.equal(body.code, 'SCOPE_MISSING', JSON.stringify(scopes))
    }
    await create({ name: 'same', role: 'admin', scopes: ['tasks:read'] }, { token: narrow.key })
  })

  test('an expired and a revoked key are refused by name, a revoked one stays so', async () => {
    const expired = await create({
      name: 'short',
      role: 'admin',
      expiresAt: new Date(Date.now() + 60_000).toISOString(),
    })
    await expire(expired.id)
    const late = await api('GET', '/v1/api-keys', { token: expired.key })
    assert.deepEqual([late.status, late.body.code], [401, 'API_KEY_EXPIRED'])
    const revoked = await create({ name: 'gone', role: 'admin' })
    for (const _ of [1, 2]) {
      const { status, body } = await api('POST', `/v1/api-keys/${revoked.id}/revoke`, { token })
      assert.deepEqual([status, body.state], [200, 'revoked'])
    }
    const gone = await api('GET', '/v1/api-keys', { token: revoked.key })
    assert.deepEqual([gone.status, gone.body.code], [401, 'API_KEY_REVOKED'])
    const entries =
      await db.sql`select action from audit_entry where subject = ${`api-key/${revoked.id}`} order by sequence`
    assert.deepEqual(
      entries.map(({ action }) => action),
      ['api-key.created', 'api-key.revoked'],
    )
    assert.equal((await api('POST', '/v1/api-keys/01890a5d-ac96-774b-bcce-b302099a8057/revoke', { token })).status, 404)
  })

  test('what expires in the past or in a hundred years is refused', async () => {
    for (const expiresAt of ['2020-01-01T00:00:00Z', '2130-01-01T00:00:00Z']) {
      const { status, body } = await api('POST', '/v1/api-keys', {
        token,
        body: { name: 'x', role: 'viewer', expiresAt },
      })
      assert.deepEqual([status, body.errors[0].path], [400, 'expiresAt'])
    }
  })

  test('a revocation takes effect within 10 s wherever the key was used, with the cache and without it', async () => {
    for (const cache of [memoryCache(), { get: async () => null, set: async () => undefined }]) {
      const time = { now: new Date() }
      const clock = { now: () => time.now }
      if ('clock' in cache) cache.clock = clock
      const instances = Array.from({ length: 3 }, () => apiKeyRegister({ database: db.database, cache, clock }))
      const made = await create({ name: 'used', role: 'operator' })
      for (const find of instances) assert.equal((await find(made.key))?.id, made.id)
      await api('POST', `/v1/api-keys/${made.id}/revoke`, { token })
      // The worst order: one instance reads what is shared just before it ends, and believes it for as long as it may.
      const until: number[] = []
      for (let millis = 0; millis <= 10_000; millis += 250) {
        time.now = new Date(time.now.getTime() + 250)
        for (const [index, find] of instances.entries()) {
          if (await find(made.key).then(Boolean, () => false)) until[index] = millis + 250
        }
      }
      assert.ok(
        until.every(millis => millis <= 7000),
        String(until),
      )
      await assert.rejects(instances[0]?.(made.key) ?? Promise.resolve(), refused('API_KEY_REVOKED'))
    }
  })

  test('what the cache holds is no reason to believe an unknown or a mistyped key', async () => {
    const cache = memoryCache()
    const find = apiKeyRegister({ database: db.database, cache, clock: cache.clock })
    assert.equal(await find(newApiKey()), null)
    assert.equal(await find('trib_nothing'), null)
    const made = await create({ name: 'odd', role: 'viewer' })
    await find(made.key)
    for (const name of cache.names()) await cache.set(name, '{"role":"admin"}', 100)
    const fresh = apiKeyRegister({ database: db.database, cache, clock: cache.clock })
    assert.equal((await fresh(made.key))?.role, 'viewer')
  })
})
