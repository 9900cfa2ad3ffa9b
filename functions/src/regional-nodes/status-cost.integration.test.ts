import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DevicePresence } from '@tributary/contracts/node-status'
import { v7 } from 'uuid'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import type { RoundFederation } from '../testing/round-federation.ts'
import { testServices } from '../testing/test-services.ts'

const services = testServices()
const shards = 1000
const devices = 20_000
const rounds = 15

/** The context with a database that counts tagged templates: statements, and the fragments they are made of. */
const counting = (context: Context) => {
  let count = 0
  const counted = <Handle extends object>(sql: Handle): Handle =>
    new Proxy(sql, {
      apply(target, self, args) {
        count += 1
        return Reflect.apply(target as never, self, args)
      },
    })
  const { database } = context
  const wrapped = {
    read: (work: (sql: Transaction) => Promise<unknown>) => database.read(sql => work(counted(sql as Transaction))),
    transaction: (work: (sql: Transaction) => Promise<unknown>) => database.transaction(sql => work(counted(sql))),
  }
  return { context: { ...context, database: wrapped as unknown as Context['database'] }, statements: () => count }
}

const presenceOf = (ids: readonly string[]): DevicePresence[] =>
  ids.map(device => ({
    device,
    online: true,
    seenAt: new Date().toISOString(),
    agentVersion: '0.1.0',
    frameworks: ['onnx'],
    datasets: [{ name: 'mnist', examples: 600, heldOut: false }],
    conditions: ['idle'],
    certificateSha256: 'a'.repeat(64),
  }))

const measure = async (federation: RoundFederation, presence: readonly DevicePresence[]) => {
  const node = federation.nodeOf('north')
  const { context, statements } = counting(federation.context)
  const boot = v7()
  const sequence = 1_000_000
  const call = () => federation.status(node, { boot, presence: [...presence], directorySequence: sequence }, context)
  await call()
  await call()
  const before = statements()
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const started = performance.now()
    await call()
    times.push(performance.now() - started)
  }
  times.sort((a, b) => a - b)
  return {
    statements: (statements() - before) / rounds,
    median: times[rounds >> 1] as number,
    most: times.at(-1) as number,
  }
}

test(`a call with ${shards} shards among ${devices} devices takes as many statements as one with one shard`, {
  timeout: 120_000,
}, async t => {
  const small = await services.begin({ north: { trainers: 1 } })
  const one = await measure(small, presenceOf([small.devices[0]?.id as string]))

  const { sql } = services.db
  const federation = await services.begin({ north: { trainers: 0, shards } })
  await sql`alter table device disable trigger user`
  await sql`
    insert into device (id, region, shard_hash, label, kind, certificate_sha256, certificate_expires_at)
    select ('01890a5d-ac96-774b-bcce-' || lpad(to_hex(i), 12, '0'))::uuid, 'north', sha256(i::text::bytea), 'device-' || i,
      'trainer', 'x', now() + interval '1 day'
    from generate_series(1, ${devices}::integer) as i`
  await sql`alter table device enable trigger user`
  const node = federation.nodeOf('north')
  await federation.status(node, { directorySequence: 1_000_000 })
  await sql`
    insert into device_presence (device, node, boot, region, shard, epoch, online, seen_at, agent_version, frameworks,
      dataset_names, datasets, conditions)
    select id, ${node.id}, ${node.id}, 'north', shard_of(shard_hash, ${shards}), 1, true, now(), '0.1.0', '{onnx}', '{mnist}', '[]',
      '{}' from device`
  await sql`analyze`
  const page = Array.from(
    { length: 200 },
    (_, index) => `01890a5d-ac96-774b-bcce-${(index * 97 + 1).toString(16).padStart(12, '0')}`,
  )
  const quiet = await measure(federation, [])
  const many = await measure(federation, presenceOf(page))
  t.diagnostic(
    `ms, median of ${rounds} (most): one shard and device ${one.median.toFixed(1)} (${one.most.toFixed(1)}); ${shards} shards ${quiet.median.toFixed(1)} (${quiet.most.toFixed(1)}); with 200 changes of presence ${many.median.toFixed(1)} (${many.most.toFixed(1)}); statements ${one.statements}, ${quiet.statements}, ${many.statements}`,
  )
  assert.equal(many.statements, one.statements)
  assert.ok(many.statements <= 30, String(many.statements))
  // A node waits 4 s; every 5 s it calls again.
  assert.ok(many.median < 1000, String(many.median))
  const [row] = await sql<
    { count: number }[]
  >`select count(*)::integer as count from device_presence where boot <> node`
  assert.equal(row?.count, 200)
})
