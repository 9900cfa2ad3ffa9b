import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { v7 } from 'uuid'
import type { ObjectStore } from '../../adapters/object-store.ts'
import type { Database } from '../../database/database.ts'
import { testApi, testParts, tokens } from '../../testing/test-api.ts'
import { startTestDatabase, type TestDatabase } from '../../testing/test-database.ts'
import { startTestStore } from '../../testing/test-store.ts'
import { modelsHandlers } from '../models-handlers.ts'
import { removeAbandonedUploads } from './remove-abandoned-uploads.ts'

const token = tokens.operator
const declared = { sha256: '0'.repeat(64), bytes: 3 }

suite('uploads that nobody finalises', { timeout: 60_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let store: ObjectStore
  let api: ReturnType<typeof testApi>
  let model: string
  before(async () => {
    db = resources.use(await startTestDatabase())
    store = resources.use(await startTestStore()).store
    api = testApi('models', modelsHandlers({ ...testParts(db.database), store }), { database: db.database })
    model = (await api('POST', '/v1/models', { token, body: { name: 'm' } })).body.id
  })
  after(() => resources.disposeAsync())

  const age = (version: string, hours: number) =>
    db.sql`update model_version set created_at = now() - make_interval(hours => ${hours}) where id = ${version}`
  /** Declares a version of so many hours ago and puts its files where they belong. */
  const upload = async (hours: number): Promise<{ version: string; keys: string[] }> => {
    const body = { manifest: declared, weights: declared, graph: declared }
    const { version } = (await api('POST', `/v1/models/${model}/versions`, { token, body })).body
    const files = ['manifest.json', 'weights.safetensors', 'graph.onnx']
    const keys = files.map(file => `models/${model}/uploads/${version}/${file}`)
    for (const key of keys) await store.put(key, Buffer.from('abc'))
    await age(version, hours)
    return { version, keys }
  }
  const there = async ({ version, keys }: { version: string; keys: string[] }) => ({
    row: (await db.sql`select from model_version where id = ${version}`).length === 1,
    objects: (await Promise.all(keys.map(key => store.head(key)))).filter(head => head !== null).length,
  })
  const whole = { row: true, objects: 3 }
  const gone = { row: false, objects: 0 }
  const remove = (parts: { store?: ObjectStore; database?: Database } = {}, signal = AbortSignal.timeout(10_000)) =>
    removeAbandonedUploads({ ...testParts(db.database), store, ...parts }, signal)

  test('go after a day with their objects; younger and finalised ones stay', async () => {
    const [old, young, ready] = [await upload(25), await upload(23), await upload(25)]
    await db.sql`update model_version set state = 'ready' where id = ${ready.version}`
    assert.equal(await remove(), 1)
    assert.deepEqual([await there(old), await there(young), await there(ready)], [gone, whole, whole])
    const audited = await db.sql`select actor, detail from audit_entry where action = 'version.removed'`
    assert.deepEqual([...audited], [{ actor: 'system', detail: { model, number: 0 } }])
    assert.equal(await remove(), 0)
  })

  test('keep every object while anything refers to them', async () => {
    const old = await upload(25)
    const child = v7()
    await db.sql`
      insert into model_version (id, model, number, state, parent, weights_key, weights_sha256, weights_bytes, manifest_key,
        manifest_sha256, manifest_bytes, created_by)
      values (${child}, ${model}, 1000, 'ready', ${old.version}, 'w', '', 0, 'm', '', 0, 'test')`
    assert.equal(await remove(), 0)
    assert.deepEqual(await there(old), whole)
    await db.sql`delete from model_version where id = ${child}`
    assert.equal(await remove(), 1)
    assert.deepEqual(await there(old), gone)
  })

  test('keep their row while storage does not take the deletion, and go later', async () => {
    const old = await upload(25)
    const failing = new Proxy(store, {
      get: (target, name) => {
        if (name === 'delete') return () => Promise.reject(new Error('storage is away'))
        const member = Reflect.get(target, name, target) as unknown
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
    assert.equal(await remove({ store: failing }), 0)
    assert.deepEqual(await there(old), whole)
    assert.equal(await remove(), 1)
  })

  test('are not removed when they are finalised at that moment', async () => {
    const old = await upload(25)
    const finalised = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    const finalising = db.sql.begin(async sql => {
      await sql`update model_version set state = 'ready' where id = ${old.version}`
      entered.resolve()
      await finalised.promise
    })
    await entered.promise
    const removing = remove()
    // Once the removal waits for the row, the finalisation ends.
    while ((await db.sql`select from pg_locks where not granted`).length === 0);
    finalised.resolve()
    await finalising
    assert.equal(await removing, 0)
    assert.deepEqual(await there(old), whole)
  })

  test('go in bounded numbers a run', async () => {
    for (let n = 0; n < 21; n += 1) await upload(25)
    assert.equal(await remove(), 20)
    assert.equal(await remove(), 1)
  })
})
