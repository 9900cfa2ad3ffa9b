import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { exampleSum } from '../../testing/example-model.ts'
import { RoundFederation } from '../../testing/round-federation.ts'
import { sha256, testRegistry } from '../../testing/test-registry.ts'
import { removeAttemptObjects } from './remove-attempt-objects.ts'
import { removeVersionObjects } from './remove-version-objects.ts'
import { retireVersions } from './retire-versions.ts'
import { tidyRegistry } from './tidy-registry.ts'

const registry = testRegistry()
const signal = () => AbortSignal.timeout(20_000)

const age = (version: string, days: number) =>
  registry.db.sql`update model_version set created_at = now() - make_interval(days => ${days}) where id = ${version}`
const objectsOf = async (version: string) => {
  const [row] = await registry.db.sql`
    select weights_key, manifest_key from model_version where id = ${version}`
  const heads = await Promise.all([row?.weights_key, row?.manifest_key].map(key => registry.store.head(key)))
  return heads.filter(head => head !== null).length
}
const statesOf = async (model: string) =>
  (await registry.db.sql`select number, state from model_version where model = ${model} order by number`).map(
    ({ state }) => state,
  )
/** Its time as a tombstone, and that of its presigned addresses, is over. */
const expire = (version: string) => registry.db.sql`
  update model_version set deleted_at = now() - interval '21 minutes', created_at = now() - interval '3 hours'
  where id = ${version}`

suite('what a run of the sweep does for the registry', { timeout: 120_000 }, () => {
  test('retention buries what is neither among the newest, nor young, nor referenced', async () => {
    const model = await registry.createModel('retained')
    const versions = []
    for (let n = 0; n < 6; n += 1) versions.push(await registry.ready(model))
    const [v0 = '', v1 = '', v2 = '', v3 = '', v4 = '', v5 = ''] = versions
    for (const version of [v0, v1, v3, v4, v5]) await age(version, 31)
    await registry.api('PUT', `/v1/models/${model}/aliases/kept`, { body: { version: v1 } })
    assert.equal(await retireVersions(registry.context, signal()), 0)
    const retention = { keepLast: 2, keepDays: 30 }
    const changed = await registry.api('PUT', `/v1/models/${model}`, { body: { retention } })
    assert.deepEqual(changed.body.retention, retention)
    assert.equal(await retireVersions(registry.context, signal()), 2)
    // v0 and v3 go; v1 has an alias, v2 is young, v4 and v5 are the newest.
    assert.deepEqual(await statesOf(model), ['deleted', 'ready', 'ready', 'deleted', 'ready', 'ready'])
    assert.equal(await retireVersions(registry.context, signal()), 0)
    await age(v2, 31)
    const { body } = await registry.api('PUT', `/v1/models/${model}`, { body: { description: 'kept for good' } })
    assert.deepEqual([body.retention, body.description], [retention, 'kept for good'])
    await registry.api('PUT', `/v1/models/${model}`, { body: { retention: null } })
    assert.equal(await retireVersions(registry.context, signal()), 0)
    const audited = await registry.db.sql`
      select actor from audit_entry where action = 'version.deleted' and subject = ${`version/${v0}`}`
    assert.deepEqual([...audited], [{ actor: 'system' }])
  })

  test('files of a deleted version go once no address for them is good any more, and its row stays', async () => {
    const model = await registry.createModel('deleted')
    const version = await registry.ready(model)
    await registry.api('DELETE', `/v1/models/${model}/versions/${version}`)
    assert.equal(await removeVersionObjects(registry.context, signal()), 0)
    assert.equal(await objectsOf(version), 2)
    const beside = `models/${model}/uploads/${version}/weights.optimizer.safetensors`
    await registry.store.put(beside, new Uint8Array(1))
    await expire(version)
    assert.equal(await removeVersionObjects(registry.context, signal()), 1)
    assert.equal(await registry.store.head(beside), null)
    assert.equal(await objectsOf(version), 0)
    assert.equal(await removeVersionObjects(registry.context, signal()), 0)
    assert.deepEqual(await statesOf(model), ['deleted'])
  })

  test('a manifest that other versions of the line have stays until the last of them goes', async () => {
    const model = await registry.createModel('shared manifest')
    const [a, b] = [await registry.ready(model), await registry.ready(model)]
    await registry.db.sql`
      update model_version set manifest_key = (select manifest_key from model_version where id = ${a}) where id = ${b}`
    for (const [version, left] of [
      [a, 1],
      [b, 0],
    ] as const) {
      await registry.api('DELETE', `/v1/models/${model}/versions/${version}`)
      await expire(version)
      assert.equal(await removeVersionObjects(registry.context, signal()), 1)
      assert.equal(await objectsOf(version), left)
    }
    assert.equal(await objectsOf(a), 0)
  })

  test('a run that ends between rows and files leaves only what the next one removes', async () => {
    const model = await registry.createModel('crash between')
    const version = await registry.ready(model)
    await registry.api('DELETE', `/v1/models/${model}/versions/${version}`)
    await expire(version)
    let first: Promise<void> | undefined
    const failing = new Proxy(registry.store, {
      get: (target, name) => {
        if (name === 'delete') {
          return async (key: string) => {
            const others = first
            first ??= target.delete(key)
            await first
            if (others === undefined) return
            throw new Error('storage is away')
          }
        }
        const member = Reflect.get(target, name, target) as unknown
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
    assert.equal(await removeVersionObjects({ ...registry.context, store: failing }, signal()), 0)
    assert.equal(await objectsOf(version), 1)
    assert.equal(await tidyRegistry(registry.context, signal()), 1)
    assert.equal(await objectsOf(version), 0)
  })

  test('an upload in parts that was deleted or abandoned is aborted', async () => {
    const model = await registry.createModel('aborted')
    const weights = { sha256: '0'.repeat(64), bytes: 65 * 1024 ** 2, parts: ['0'.repeat(64), '1'.repeat(64)] }
    const declared = async () => {
      const { version } = await registry.declare(model, { weights: new Uint8Array(1) }, { weights })
      const [row] = await registry.db.sql`
        select v.weights_key as key, u.upload from version_upload u join model_version v on v.id = u.version
        where v.id = ${version}`
      return { version, key: row?.key as string, upload: row?.upload as string }
    }
    const [deleted, abandoned] = [await declared(), await declared()]
    assert.deepEqual(await registry.store.partUploads.list(deleted.key, deleted.upload), [])
    await registry.api('DELETE', `/v1/models/${model}/versions/${deleted.version}`)
    await expire(deleted.version)
    await age(abandoned.version, 2)
    assert.equal(await tidyRegistry(registry.context, signal()), 2)
    for (const { key, upload } of [deleted, abandoned]) {
      assert.equal(await registry.store.partUploads.list(key, upload), null)
    }
    assert.deepEqual(await statesOf(model), ['deleted'])
  })

  test('jobs that nobody works on are started, and old ones go', async () => {
    const model = await registry.createModel('old jobs')
    const version = await registry.ready(model)
    const insert = (state: string, hours: number, id = crypto.randomUUID()) =>
      registry.db.sql`
        insert into version_job (id, kind, version, other, state, created_at)
        values (${id}, 'compare', ${version}, (select id from model_version where id <> ${version} order by random() limit 1),
          ${state}, now() - make_interval(hours => ${hours})) on conflict do nothing returning id`
    const [waiting] = await insert('waiting', 1)
    registry.jobs.splice(0)
    assert.equal(await tidyRegistry(registry.context, signal()), 1)
    assert.deepEqual(registry.jobs.splice(0), [waiting?.id])
    await registry.db.sql`update version_job set state = 'failed' where id = ${waiting?.id}`
    assert.equal(await tidyRegistry(registry.context, signal()), 1)
    assert.equal((await registry.db.sql`select from version_job where id = ${waiting?.id}`).length, 0)
  })

  test('sums and participation lists go a week after their attempt was settled, and the version stays', async () => {
    const federation = await RoundFederation.begin(registry.db, registry.store, { north: { trainers: 2 } })
    await federation.comeUp()
    const task = await federation.createTask({ rounds: 2 })
    const [opened] = await federation.commands('round.opened')
    const descriptor = opened?.data as unknown as RoundDescriptor
    const sum = exampleSum([2, 0, 0], 5n)
    await federation.deliver(await federation.summed(descriptor, { sum, weight: 20, accepted: 2 }))
    await federation.runMerges()
    await federation.cancelTask(task.id)
    // Of a node that lost its lease, of an attempt whose number begins alike, and of a merge that came too late.
    const left = [
      `sums/${task.id}/1-1/north-0-9.safetensors`,
      `models/${federation.model}/tasks/${task.id}/2-1.safetensors`,
    ]
    const others = [
      `sums/${task.id}/1-12/north-0-1.safetensors`,
      `models/${federation.model}/tasks/${task.id}/2-12.safetensors`,
    ]
    for (const key of [...left, ...others]) await registry.store.put(key, new Uint8Array(1))
    const remove = () => removeAttemptObjects({ ...registry.context }, signal())
    assert.equal(await remove(), 0)
    await registry.db.sql`update round_attempt set settled_at = now() - interval '8 days'`
    await registry.db.sql`update round_attempt set participation_due = false`
    assert.equal((await registry.store.list(`sums/${task.id}/1-1/`, 10)).length, 3)
    assert.equal(await remove(), 2)
    assert.equal(await remove(), 0)
    assert.deepEqual(await registry.store.list(`sums/${task.id}/1-1/`, 10), [])
    for (const key of left) assert.equal(await registry.store.head(key), null, key)
    for (const key of others) assert.notEqual(await registry.store.head(key), null, key)
    const [version] = await registry.db.sql`
      select weights_key, weights_sha256 as wanted from model_version where task = ${task.id}`
    assert.equal(sha256(await registry.store.readAll(version?.weights_key, 1e6)), version?.wanted)
  })
})
