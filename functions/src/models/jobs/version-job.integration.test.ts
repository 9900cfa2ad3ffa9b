import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { Database } from '../../database/database.ts'
import { exampleManifest, utf8 } from '../../testing/example-model.ts'
import { sha256, testRegistry } from '../../testing/test-registry.ts'
import { restartJobs } from './restart-jobs.ts'
import { versionJobHandler } from './version-job.ts'

const registry = testRegistry()
const elements = 17_000_000
const manifest = {
  ...exampleManifest,
  tensors: [{ name: 'w', dtype: 'F32', shape: [elements], policy: 'average' }],
}
const weights = encodeSafetensors([{ name: 'w', dtype: 'F32', shape: [elements], bytes: new Uint8Array(4 * elements) }])
const bundle = { manifest: utf8(JSON.stringify(manifest)), weights }
const invocation = () => ({ requestId: 'test', signal: AbortSignal.timeout(60_000), remainingMillis: () => 60_000 })

/** A version that is being checked, and the job that does it. */
const checking = async (model: string, files = bundle): Promise<{ version: string; job: string }> => {
  const version = await registry.upload(model, files)
  assert.equal((await registry.finalise(model, version)).body.state, 'checking')
  const [job = ''] = registry.jobs.splice(0)
  return { version, job }
}
const stateOf = async (version: string) =>
  (await registry.db.sql`select state, refusal from model_version where id = ${version}`)[0] ?? {}

suite('the check of a large version', { timeout: 120_000 }, () => {
  test('refuses files that are wrong, with code and detail, and for good', async () => {
    const model = await registry.createModel('wrong files')
    const other = { ...manifest, tensors: [{ ...manifest.tensors[0], name: 'v' }] }
    const { version, job } = await checking(model, { ...bundle, manifest: utf8(JSON.stringify(other)) })
    assert.equal(await registry.runJob(job), 'failed')
    const refusal = {
      code: 'MODEL_INVALID',
      detail: 'weights: tensor 0 differs from the manifest in name, dtype or shape',
    }
    assert.deepEqual(await stateOf(version), { state: 'refused', refusal })
    const finalised = await registry.finalise(model, version)
    assert.deepEqual([finalised.body.state, finalised.body.refusal], ['refused', refusal])
    assert.equal(await registry.runJob(job), 'nothing')
    const audited = await registry.db.sql`select detail from audit_entry where action = 'version.refused'`
    assert.deepEqual(audited[0]?.detail, refusal)
  })

  test('refuses other bytes than were declared: parts that fit one by one are hashed as a whole', async () => {
    const model = await registry.createModel('other whole')
    const { version, uploads } = await registry.declare(model, bundle, {
      weights: { ...declaredWithParts(), sha256: '0'.repeat(64) },
    })
    await registry.send(uploads, bundle)
    await registry.finalise(model, version)
    assert.deepEqual(await registry.runJobs(), ['failed'])
    assert.equal((await stateOf(version)).refusal.code, 'CHECKSUM_MISMATCH')
  })

  test('reads the weights in ranges, of which 32 MiB are on their way at once, whatever the size', async () => {
    const model = await registry.createModel('in ranges')
    const { version, job } = await checking(model)
    const [sizes, most] = [[] as number[], { pending: 0, seen: 0 }]
    const counted: typeof registry.store.readRange = async (key, range, signal) => {
      sizes.push(range.end - range.start)
      most.pending += range.end - range.start
      most.seen = Math.max(most.seen, most.pending)
      try {
        return await registry.store.readRange(key, range, signal)
      } finally {
        most.pending -= range.end - range.start
      }
    }
    const store = withMember(registry.store, 'readRange', counted)
    assert.equal(await versionJobHandler({ ...registry.context, store })({ job }, invocation()), 'done')
    assert.equal((await stateOf(version)).state, 'ready')
    assert.ok(most.seen <= 32 * 1024 ** 2, `${most.seen}`)
    assert.ok(Math.max(...sizes) === 4 * 1024 ** 2)
    assert.ok(sizes.reduce((sum, size) => sum + size, 0) < weights.length + 100_000)
  })

  test('is done once by two that start at the same time', async () => {
    const model = await registry.createModel('twice at once')
    const { version, job } = await checking(model)
    await using second = new Database({ url: registry.db.url, log: registry.context.log, name: 'second' })
    const outcomes = await Promise.all([
      registry.runJob(job),
      versionJobHandler({ ...registry.context, database: second })({ job }, invocation()),
    ])
    assert.deepEqual(outcomes.sort(), ['done', 'nothing'])
    assert.equal((await stateOf(version)).state, 'ready')
  })

  test('goes on where its run fell silent or failed, but not for ever', async () => {
    const model = await registry.createModel('silent')
    const { version, job } = await checking(model)
    const broken = {
      ...registry.context,
      store: withMember(registry.store, 'head', () => Promise.reject(new Error('storage is away'))),
    }
    await assert.rejects(versionJobHandler(broken)({ job }, invocation()), /storage is away/)
    assert.equal((await stateOf(version)).state, 'checking')
    // A run that was cut off: claimed, and nothing more.
    await registry.db.sql`update version_job set beat_at = now() where id = ${job}`
    assert.equal(await registry.runJob(job), 'nothing')
    assert.equal(await restartJobs(registry.context), 0)
    const silence = () =>
      registry.db.sql`update version_job set beat_at = now() - interval '61 seconds' where id = ${job}`
    await silence()
    assert.equal(await restartJobs(registry.context), 1)
    // Whoever waits for it starts it as well.
    await registry.finalise(model, version)
    assert.deepEqual(registry.jobs.splice(0), [job, job])
    await registry.db.sql`update version_job set runs = 5 where id = ${job}`
    assert.equal(await registry.runJob(job), 'failed')
    assert.equal((await stateOf(version)).refusal.code, 'JOB_FAILED')
    const another = await checking(model)
    await registry.db.sql`
      update version_job set runs = 4, beat_at = now() - interval '61 seconds' where id = ${another.job}`
    assert.equal(await registry.runJob(another.job), 'done')
  })
})

const declaredWithParts = () => {
  const part = 64 * 1024 ** 2
  return {
    bytes: weights.length,
    parts: [sha256(weights.subarray(0, part)), sha256(weights.subarray(part))],
  }
}

/** The store with another member. */
const withMember = (store: typeof registry.store, member: string, replacement: unknown): typeof registry.store =>
  new Proxy(store, {
    get: (target, name) => {
      if (name === member) return replacement
      const found = Reflect.get(target, name, target) as unknown
      return typeof found === 'function' ? found.bind(target) : found
    },
  })
