import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeStatusAnswer } from '@tributary/contracts/node-status'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { noRegistrar } from '../fleet/broker-registrar.ts'
import { revokeNode } from '../fleet/revoke-node.ts'
import type { TransactionalHandler } from '../http/handler.ts'
import { exampleSum } from '../testing/example-model.ts'
import { testServices } from '../testing/test-services.ts'

const services = testServices()

const leasesOf = ({ leases }: NodeStatusAnswer) => leases.map(({ shard, epoch }) => [shard, epoch])
const expireLeases = () => services.db.sql`update region_shard set lease_expires_at = now() - interval '1 second'`
/** As if every node but this one had died long ago. */
const forget = (node: string) =>
  services.db.sql`update regional_node set last_seen_at = now() - interval '1 minute' where id <> ${node}`
const some = { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 2 }

test('two nodes share the shards of a region, and each learns where the others are served', async () => {
  const federation = await services.begin({ north: { trainers: 0, shards: 4 } })
  const first = federation.nodeOf('north')
  const second = await federation.addNode('north')
  await services.db.sql`update regional_node set last_seen_at = now()`
  assert.deepEqual(leasesOf(await federation.status(first)), [
    [0, 1],
    [1, 1],
  ])
  assert.deepEqual(leasesOf(await federation.status(second, { endpoint: 'second:1' })), [
    [2, 1],
    [3, 1],
  ])
  const answer = await federation.status(first)
  assert.deepEqual(leasesOf(answer), [
    [0, 1],
    [1, 1],
  ])
  assert.deepEqual(answer.otherShards, [
    { shard: 2, endpoint: 'second:1' },
    { shard: 3, endpoint: 'second:1' },
  ])
  await expireLeases()
  await forget(first.id)
  assert.deepEqual(leasesOf(await federation.status(first)), [
    [0, 1],
    [1, 1],
    [2, 2],
    [3, 2],
  ])
})

test('a node that still has its log keeps epoch and key after the lease expired; one that lost it starts anew', async () => {
  const federation = await services.begin({ north: { trainers: 0 } })
  const node = federation.nodeOf('north')
  const before = await federation.status(node)
  assert.equal(Buffer.from(before.leases[0]?.logKey ?? '', 'base64').length, 32)
  await expireLeases()
  const kept = await federation.status(node)
  assert.deepEqual(kept.leases, before.leases)
  node.epochs = new Map()
  const lost = await federation.status(node)
  assert.deepEqual(leasesOf(lost), [[0, 2]])
  assert.notEqual(lost.leases[0]?.logKey, before.leases[0]?.logKey)
})

test('a draining node gives its shards to the next that asks', async () => {
  const federation = await services.begin({ north: { trainers: 0 } })
  const first = federation.nodeOf('north')
  const second = await federation.addNode('north')
  await federation.status(first)
  assert.deepEqual(leasesOf(await federation.status(second)), [])
  assert.deepEqual(leasesOf(await federation.status(first, { draining: true })), [])
  assert.deepEqual(leasesOf(await federation.status(second)), [[0, 2]])
})

test('leases that are taken, begun anew and released are audited with their epochs, renewals are not', async () => {
  const federation = await services.begin({ north: { trainers: 0, shards: 2 } })
  const first = federation.nodeOf('north')
  for (let call = 0; call < 4; call += 1) await federation.status(first)
  first.epochs.delete(1)
  await federation.status(first)
  await federation.status(first, { draining: true })
  const second = await federation.addNode('north')
  for (let call = 0; call < 2; call += 1) await federation.status(second)
  const entries = await services.db.sql`
    select actor, action, subject, detail from audit_entry order by sequence`
  const by = ({ id }: { id: string }) => ({ actor: `regional-node:${id}`, subject: `regional-node/${id}` })
  const entry = (node: { id: string }, action: string, shards: unknown[]) => ({
    ...by(node),
    action,
    detail: { region: 'north', shards },
  })
  assert.deepEqual(
    [...entries],
    [
      entry(first, 'leases.taken', [
        { shard: 0, epoch: 1, from: null },
        { shard: 1, epoch: 1, from: null },
      ]),
      entry(first, 'leases.taken', [{ shard: 1, epoch: 2, from: first.id }]),
      entry(first, 'leases.released', [
        { shard: 0, epoch: 1 },
        { shard: 1, epoch: 2 },
      ]),
      entry(second, 'leases.taken', [
        { shard: 0, epoch: 2, from: first.id },
        { shard: 1, epoch: 3, from: first.id },
      ]),
    ],
  )
})

test('a node that joins a fully leased region gets its fair share of idle shards, never one with an open attempt', async () => {
  const federation = await services.begin({ north: { trainers: 2, shards: 4 } })
  const first = federation.nodeOf('north')
  await federation.comeUp()
  const second = await federation.addNode('north')
  const task = await federation.createTask({ cohort: { dataset: 'mnist', size: { goal: 2, quorum: 1 } } })
  const [attempt] = (await federation.status(first)).attempts
  assert.ok(attempt)
  const busy = new Set(attempt.shards.map(({ shard }) => shard))
  const idle = [0, 1, 2, 3].filter(shard => !busy.has(shard))
  const early = leasesOf(await federation.status(second))
  assert.deepEqual(
    early,
    idle.slice(0, 2).map(shard => [shard, 2]),
  )
  // What the attempt pins stays with its holder until the shard has reported.
  const kept = (await federation.status(first)).leases.map(({ shard }) => shard)
  assert.ok([...busy].every(shard => kept.includes(shard)))
  assert.equal((await services.db.sql`select from attempt_shard where epoch <> 1`).length, 0)

  for (const shard of attempt.shards)
    await federation.deliver(await federation.summed({ ...attempt, shards: [shard] }, { ...some, accepted: 1 }))
  await federation.runMerges()
  assert.equal((await federation.getTask(task.id)).state, 'completed')
  const late = await federation.status(second)
  const answer = await federation.status(first)
  assert.deepEqual([late.leases.length, answer.leases.length], [2, 2])
  assert.ok(answer.leases.every(({ epoch }) => epoch === 1) && late.leases.every(({ epoch }) => epoch === 2))
  assert.deepEqual(
    answer.otherShards.map(({ shard }) => shard),
    late.leases.map(({ shard }) => shard),
  )
})

test('a node that joins during a task is used from the next round, though no shard is ever idle when it calls', async () => {
  // With so many devices both shards take part in every round.
  const federation = await services.begin({ north: { trainers: 60, shards: 2 } })
  const first = federation.nodeOf('north')
  await federation.comeUp()
  const task = await federation.createTask({ rounds: 2 })
  const [before] = (await federation.status(first)).attempts
  assert.ok(before)
  assert.equal(before.shards.length, 2)
  const second = await federation.addNode('north')
  assert.deepEqual(leasesOf(await federation.status(second)), [])
  for (const shard of before.shards)
    await federation.deliver(await federation.summed({ ...before, shards: [shard] }, { ...some, accepted: 1 }))
  await federation.runMerges()

  const opened = (await federation.commands('round.opened')).map(({ data }) => data as unknown as RoundDescriptor)
  assert.deepEqual(
    opened.at(-1)?.shards.map(({ shard, epoch }) => [shard, epoch]),
    [
      [0, 2],
      [1, 1],
    ],
  )
  const shardsOf = ({ attempts }: NodeStatusAnswer) =>
    attempts.flatMap(({ round, shards }) => shards.map(({ shard, epoch }) => [round, shard, epoch]))
  const [left, joined] = [await federation.status(first), await federation.status(second)]
  assert.deepEqual([leasesOf(left), shardsOf(left)], [[[1, 1]], [[2, 1, 1]]])
  assert.deepEqual([leasesOf(joined), shardsOf(joined)], [[[0, 3]], [[2, 0, 3]]])
  const audited = await services.db.sql`select actor, detail from audit_entry where action = 'leases.handed-over'`
  const detail = { region: 'north', shards: [{ node: second.id, epoch: 2, shard: 0 }] }
  assert.deepEqual([...audited], [{ actor: 'system', detail }])
  assert.equal((await federation.getTask(task.id)).state, 'running')
})

test('an opening round leaves the leases alone while a call changes them', async () => {
  const federation = await services.begin({ north: { trainers: 60, shards: 2 } })
  await federation.comeUp()
  const second = await federation.addNode('north')
  await services.db.sql`update regional_node set last_seen_at = now() where id = ${second.id}`
  await services.db.sql.begin(async sql => {
    await sql`select from region_shard where shard = 1 for no key update`
    await federation.createTask()
  })
  assert.equal((await services.db.sql`select from region_shard where epoch <> 1`).length, 0)
  await federation.createTask()
  assert.equal((await services.db.sql`select from region_shard where epoch <> 1`).length, 0, 'busy by now')
})

test('a node that is revoked while it calls keeps nothing, and the next takes its shards with a new epoch', async () => {
  const federation = await services.begin({ north: { trainers: 0 } })
  const first = federation.nodeOf('north')
  const second = await federation.addNode('north')
  await federation.status(first)
  const entered = Promise.withResolvers<void>()
  const leave = Promise.withResolvers<void>()
  await using connections = federation.ownConnections(1)
  const [context] = connections.contexts
  assert.ok(context)
  const request = federation.request<'revokeNode'>({ params: { node: first.id }, query: undefined, body: undefined })
  const revoked = context.database.transaction(async sql => {
    await (revokeNode({ ...context, registrar: noRegistrar }) as TransactionalHandler<'revokeNode'>)(request, sql)
    entered.resolve()
    await leave.promise
  })
  await entered.promise
  const late = federation.status(first)
  late.catch(() => undefined)
  // Once the call waits for the shards, having seen a node that is not revoked, the revocation ends.
  while ((await services.db.sql`select from pg_locks where not granted`).length === 0);
  leave.resolve()
  await revoked
  await assert.rejects(late, { code: 'NOT_FOUND' })
  assert.deepEqual(leasesOf(await federation.status(second)), [[0, 2]])
})

test('two nodes that ask at the same instant never get the same shard', async () => {
  const federation = await services.begin({ north: { trainers: 0, shards: 8 } })
  for (let more = 0; more < 3; more += 1) await federation.addNode('north')
  await services.db.sql`update regional_node set last_seen_at = now()`
  await using connections = federation.ownConnections(federation.nodes.length)
  const answers = await Promise.all(
    federation.nodes.map((node, index) => federation.status(node, {}, connections.contexts[index])),
  )
  const shards = answers.flatMap(({ leases }) => leases.map(({ shard }) => shard))
  assert.deepEqual(shards.toSorted(), [0, 1, 2, 3, 4, 5, 6, 7])
})

test('a lease taken over raises the pinned epoch, and sums of the epoch before have no effect', async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await federation.comeUp()
  const task = await federation.createTask()
  const first = federation.nodeOf('north')
  const [before] = (await federation.status(first)).attempts
  assert.ok(before)
  const progress = {
    task: task.id,
    round: 1,
    attempt: 1,
    shard: 0,
    epoch: 1,
    state: 'collecting' as const,
    selected: 2,
    accepted: 1,
    refused: 0,
  }
  await federation.status(first, { progress: [progress] })
  assert.deepEqual((await federation.getTask(task.id)).history[0]?.state, 'collecting')
  assert.deepEqual((await federation.getTask(task.id)).history[0]?.accepted, 1)

  await expireLeases()
  const second = await federation.addNode('north')
  const answer = await federation.status(second)
  assert.deepEqual(answer.attempts[0]?.shards, [{ region: 'north', shard: 0, epoch: 2, goal: 2, select: 2 }])
  assert.equal((await federation.getTask(task.id)).history[0]?.accepted, 0)

  // The node that lost the lease is late: neither its sum nor its progress counts.
  await federation.deliver(await federation.summed(before, some))
  await federation.status(first, { progress: [progress] })
  assert.deepEqual(federation.merges, [])
  assert.equal((await federation.getTask(task.id)).history[0]?.accepted, 0)

  await federation.deliver(await federation.summed(answer.attempts[0] as RoundDescriptor, some))
  await federation.runMerges()
  assert.equal((await federation.getTask(task.id)).state, 'completed')
})

test('a lease that changes after the sum is in changes nothing', async () => {
  const federation = await services.begin({ north: { trainers: 2 }, south: { trainers: 2 } })
  await federation.comeUp()
  const task = await federation.createTask()
  const first = federation.nodeOf('north')
  const [north] = (await federation.status(first)).attempts
  const [south] = (await federation.status(federation.nodeOf('south'))).attempts
  await federation.deliver(await federation.summed(north as RoundDescriptor, some))
  first.epochs = new Map()
  const restarted = await federation.status(first)
  assert.deepEqual(leasesOf(restarted), [[0, 2]])
  assert.deepEqual(restarted.attempts, [])
  await federation.deliver(await federation.summed(south as RoundDescriptor, some))
  await federation.runMerges()
  const done = await federation.getTask(task.id)
  assert.deepEqual(
    done.history[0]?.regions.map(({ epoch }) => epoch),
    [1, 1],
  )
  assert.equal(done.history[0]?.weight, 200)
})

test('the directory comes in pages, and after that only what changed', async () => {
  const federation = await services.begin({ north: { trainers: 501 } })
  const node = federation.nodeOf('north')
  const { directory: first } = await federation.status(node)
  assert.deepEqual([first.devices.length, first.complete], [500, false])
  const { directory: second } = await federation.status(node, { directorySequence: first.sequence })
  assert.deepEqual([second.devices.length, second.complete], [1, true])
  const known = new Set([...first.devices, ...second.devices].map(({ device }) => device))
  assert.equal(known.size, 501)
  const { directory: none } = await federation.status(node, { directorySequence: second.sequence })
  assert.deepEqual(none, { devices: [], sequence: second.sequence, complete: true })
  const revoked = federation.devices[7]?.id as string
  await services.db.sql`update device set revoked_at = now() where id = ${revoked}`
  const { directory: change } = await federation.status(node, { directorySequence: second.sequence })
  assert.deepEqual(
    change.devices.map(({ device, revoked }) => [device, revoked]),
    [[revoked, true]],
  )
})

test('a device whose enrolment commits late is not missed by nodes that have read later ones', async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  const [early, late] = federation.devices.map(({ id }) => id) as [string, string]
  const entered = Promise.withResolvers<void>()
  const leave = Promise.withResolvers<void>()
  const slow = services.db.sql.begin(async sql => {
    await sql`update device set revoked_at = now() where id = ${early}`
    entered.resolve()
    await leave.promise
  })
  await entered.promise
  const quick = services.db.sql`update device set revoked_at = now() where id = ${late}`.execute()
  const { directory } = await federation.status(federation.nodeOf('north'))
  leave.resolve()
  await Promise.all([slow, quick])
  const after = await federation.status(federation.nodeOf('north'), { directorySequence: directory.sequence })
  assert.deepEqual(
    after.directory.devices.map(({ device, revoked }) => [device, revoked]),
    [
      [early, true],
      [late, true],
    ],
  )
})

test('the database puts a device into the same shard as everybody else does', async () => {
  const { shardOfDigest } = await import('@tributary/learning/sharding')
  const digests = Array.from({ length: 50 }, (_, index) => new Uint8Array(32).fill(index * 5, index % 32))
  for (const count of [1, 2, 7, 4096]) {
    const rows = await services.db.sql<{ shard: number }[]>`
      select shard_of(decode(d, 'hex'), ${count}) as shard
      from unnest(${digests.map(digest => Buffer.from(digest).toString('hex'))}::text[]) with ordinality as t (d, n) order by n`
    assert.deepEqual(
      rows.map(({ shard }) => shard),
      digests.map(digest => shardOfDigest(digest, count)),
    )
  }
})
