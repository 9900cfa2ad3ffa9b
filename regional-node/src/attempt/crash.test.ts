import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Participation } from '@tributary/contracts/participation'
import { type Failpoint, failpoints } from '../log/failpoint.ts'
import { FolderObjectStore } from '../testing/folder-object-store.ts'
import { sampleDescriptor, sampleObjects } from '../testing/sample-round.ts'
import { receiptsOf, runShard, type ShardRun, type ShardTask } from '../testing/shard-process.ts'

const devices = [1, 2, 3, 4]
const opened = Date.parse('2026-01-01T00:00:00Z')

/** A round of four devices in a folder of its own. */
const begin = async (limits: { foldUpdates: number; sumMemoryBytes: number }) => {
  const home = await mkdtemp(join(tmpdir(), 'tributary-crash-'))
  const objects = join(home, 'objects')
  const { manifest, base } = sampleObjects()
  const store = new FolderObjectStore(objects)
  for (const { ref, bytes } of [manifest, base]) await store.put(ref.objectKey, bytes)
  const descriptor = sampleDescriptor(opened, { goal: 4, select: 4 })
  const logKey = randomBytes(32).toString('base64')
  const task: ShardTask = { folder: join(home, 'data'), objects, logKey, descriptor, devices, ...limits }
  return { task, [Symbol.asyncDispose]: () => rm(home, { recursive: true }) }
}

// Σ w·δ over devices with δ = (n/4, −n, 1/8), (n, 1) and w = n: Σ n² = 30, Σ n = 10, times 2^25.
const expected = [30 / 4, -30, 10 / 8, 30, 10].map(value => BigInt(value * 2 ** 25))

const verifyRound = async (task: ShardTask, runs: readonly ShardRun[]) => {
  const receipts = receiptsOf(runs)
  assert.deepEqual([...receipts.keys()].sort(), devices)
  const events = runs.flatMap(({ said }) => said.flatMap(saying => (saying.kind === 'summed' ? saying.event : [])))
  const [event] = events
  for (const again of events) assert.deepEqual({ ...again, node: '' }, { ...event, node: '' })
  assert.deepEqual([event?.accepted, event?.weight], [4, '10'])
  const file = await readFile(join(task.objects, `${event?.sum?.objectKey}`))
  assert.equal(createHash('sha256').update(file).digest('hex'), event?.sum?.sha256)
  const start = Number(file.readBigUInt64LE(0)) + 8
  assert.deepEqual(
    expected.map((_, i) => file.readBigInt64LE(start + i * 8)),
    expected,
  )
  const list = `${await readFile(join(task.objects, `${event?.participation.objectKey}`))}`.trimEnd().split('\n')
  const rows = list.map(line => Participation.parse(JSON.parse(line)))
  assert.deepEqual(
    rows.map(({ verdict, weight }) => [verdict, weight]),
    devices.map(number => ['accepted', number]),
  )
  for (const { said } of runs) assert.ok(said.every(saying => saying.kind !== 'opened' || saying.as !== 'void'))
}

/** How often a failpoint is passed before it kills: early, and late where it is passed more than once. */
const counts: Record<Failpoint, readonly number[]> = {
  'log.before-write': [1, 3, 6],
  'log.before-sync': [2, 5],
  'log.after-sync': [1, 4, 7],
  'spool.after-sync': [1, 4],
  'fold.after-sum': [1, 2],
  'fold.after-record': [1, 2],
  'fold.after-drop': [1],
  'result.after-sum': [1],
  'result.after-list': [1],
  'result.after-record': [1],
  'result.after-event': [1],
}
for (const name of failpoints) {
  for (const count of counts[name]) {
    const sumMemoryBytes = count % 2 === 1 ? 1e9 : 0
    const where = sumMemoryBytes === 0 ? 'a file' : 'memory'
    test(`a kill at ${name}, the ${count}. time, loses no receipt and counts nothing twice (sum in ${where})`, {
      timeout: 60_000,
    }, async () => {
      await using round = await begin({ foldUpdates: 2, sumMemoryBytes })
      const killed = await runShard({ ...round.task, failpoint: { name, count, action: 'kill' } })
      assert.equal(killed.signal, 'SIGKILL', `it was not killed: ${JSON.stringify(killed)}`)
      const restarted = await runShard(round.task)
      assert.deepEqual([restarted.code, restarted.signal], [0, null])
      await verifyRound(round.task, [killed, restarted])
    })
  }
}

test('kills at any time, one after the other, lose no receipt and count nothing twice', {
  timeout: 120_000,
}, async () => {
  await using measured = await begin({ foldUpdates: 1, sumMemoryBytes: 1e9 })
  const start = performance.now()
  await verifyRound(measured.task, [await runShard(measured.task)])
  const whole = performance.now() - start
  await using round = await begin({ foldUpdates: 1, sumMemoryBytes: 1e9 })
  const runs: ShardRun[] = []
  for (let share = 0.5; share < 1; share += 0.05) runs.push(await runShard(round.task, whole * share))
  runs.push(await runShard(round.task))
  assert.equal(runs.at(-1)?.code, 0)
  await verifyRound(round.task, runs)
})
