import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { ObjectStore } from '../adapters/object-store.ts'
import type { Context } from '../context.ts'
import { checkInvariants } from '../testing/check-invariants.ts'
import { closeLargeRound, enlarge, largeOptimizer, largeWeights } from '../testing/large-model.ts'
import { testServices } from '../testing/test-services.ts'
import { mergeHandler } from './merge-handler.ts'

const services = testServices()
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const expected = sha256(largeWeights(1))

const closed = async (fields: Record<string, unknown> = {}) => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await enlarge(federation)
  await federation.comeUp()
  const task = await federation.createTask({ attempts: 1, serverOptimizer: largeOptimizer, ...fields })
  return { federation, task, ref: await closeLargeRound(federation) }
}

type Sent = { readonly key: string; readonly part: number }

/** An object of which some members are others. */
const overridden = <Target extends object>(target: Target, members: Partial<Target>): Target =>
  new Proxy(target, {
    get: (_, name) => {
      const member = (Reflect.get(members, name) ?? Reflect.get(target, name, target)) as unknown
      return typeof member === 'function' ? member.bind(target) : member
    },
  })

/** The same store, with a note of every part that is sent; `before` may refuse one. */
const noting = (store: ObjectStore, sent: Sent[], before: (sent: Sent) => void = () => undefined): ObjectStore => {
  const send: ObjectStore['partUploads']['send'] = async (target, bytes, signal) => {
    before(target)
    const stored = await store.partUploads.send(target, bytes, signal)
    sent.push({ key: target.key, part: target.part })
    return stored
  }
  return overridden(store, { partUploads: overridden(store.partUploads, { send }) })
}

/** A run of the function whose time ends after so many looks at the clock. */
const runFor = (context: Context, ref: object, looks: number) => {
  let left = looks
  const remainingMillis = () => (left-- > 0 ? 60_000 : 0)
  return mergeHandler(context)(ref, { requestId: 'test', signal: AbortSignal.timeout(60_000), remainingMillis })
}

const versionOf = async (task: string) => {
  const [version] = await services.db.sql<{ sha256: string; key: string; state: string; stateSha256: string }[]>`
    select weights_sha256 as sha256, weights_key as key, optimizer_state_key as state, optimizer_state_sha256 as "stateSha256"
    from model_version where task = ${task}`
  return version
}

test('a merge whose time ends again and again is resumed by part, and the version is the same', async () => {
  const { federation, task, ref } = await closed()
  federation.merges.length = 0
  const sent: Sent[] = []
  const store = noting(services.store, sent)
  const outcomes: unknown[] = []
  for (let runs = 0; outcomes.at(-1) !== 'committed' && runs < 30; runs += 1) {
    // Each run gets a little further than the last: five parts of the plan, then six, …
    outcomes.push(await runFor({ ...federation.context, store }, ref, 3 + runs))
  }
  assert.equal(outcomes.at(-1), 'committed')
  assert.ok(outcomes.length > 3, `${outcomes.length} runs`)
  assert.ok(outcomes.slice(0, -1).every(outcome => outcome === 'continued'))
  // Every run but the last started the next.
  assert.deepEqual(
    federation.merges,
    outcomes.slice(1).map(() => ref),
  )
  const version = await versionOf(task.id)
  assert.equal(version?.sha256, expected)
  assert.equal(sha256(await services.store.readAll(version.key, 20_000_000)), expected)
  assert.equal(sha256(await services.store.readAll(version.state, 20_000_000)), version.stateSha256)
  // Two parts of weights, three of state: none went up twice.
  assert.equal(sent.length, 5)
  await checkInvariants(services.db.sql)
})

test('ten runs at once, each from another part on, make one version', async () => {
  const { federation, task, ref } = await closed()
  assert.equal(await runFor(federation.context, ref, 3), 'continued')
  await using instances = federation.ownConnections(10)
  const outcomes = await Promise.all(instances.contexts.map(context => runFor(context, ref, 1e6)))
  const left = outcomes.filter(outcome => outcome === 'continued').length
  assert.equal(outcomes.filter(outcome => outcome === 'committed').length, 1, outcomes.join())
  assert.ok(left < 10)
  assert.equal((await versionOf(task.id))?.sha256, expected)
  assert.equal(await federation.merge(ref), 'nothing')
  assert.equal((await federation.commands('task.finished')).length, 1)
  await checkInvariants(services.db.sql)
})

test('a run that ends at any part leaves what the next one needs', async () => {
  for (let failing = 0; failing < 5; failing += 1) {
    const { federation, task, ref } = await closed()
    let begun = 0
    const store = noting(services.store, [], () => {
      if (begun++ === failing) throw new Error('the process is gone')
    })
    await assert.rejects(federation.merge(ref, { ...federation.context, store }), /the process is gone/)
    assert.equal(await federation.merge(ref), 'committed')
    assert.equal((await versionOf(task.id))?.sha256, expected)
  }
})

test('an input that was changed between two runs is found, and nothing becomes visible', async () => {
  const { federation, task, ref } = await closed()
  assert.equal(await runFor(federation.context, ref, 4), 'continued')
  const key = `sums/${task.id}/1-1/north-0-1.safetensors`
  const sum = await services.store.readAll(key, 20_000_000)
  sum[sum.length - 1] = 1
  await services.store.put(key, sum)
  assert.equal(await federation.merge(ref), 'abandoned')
  assert.equal((await federation.getTask(task.id)).history[0]?.reason, 'CHECKSUM_MISMATCH')
  for (const end of ['', '.optimizer']) {
    const made = `models/${federation.model}/tasks/${task.id}/1-1${end}.safetensors`
    assert.equal(await services.store.head(made), null)
  }
})

test('an upload that storage has forgotten is begun anew', async () => {
  const { federation, task, ref } = await closed()
  assert.equal(await runFor(federation.context, ref, 4), 'continued')
  const [row] = await services.db.sql<{ uploads: { weights: string } }[]>`
    select merge_progress -> 'uploads' as uploads from round_attempt`
  const key = `models/${federation.model}/tasks/${task.id}/1-1.safetensors`
  await services.store.partUploads.abort(key, row?.uploads.weights as string)
  assert.equal(await federation.merge(ref), 'continued')
  assert.equal(await federation.merge(ref), 'committed')
  assert.equal((await versionOf(task.id))?.sha256, expected)
})

test('a merge that is stopped by a cancellation ends by itself', async () => {
  const { federation, task, ref } = await closed()
  assert.equal(await runFor(federation.context, ref, 3), 'continued')
  await federation.cancelTask(task.id)
  assert.equal(await federation.merge(ref), 'nothing')
  assert.equal(await versionOf(task.id), undefined)
})
