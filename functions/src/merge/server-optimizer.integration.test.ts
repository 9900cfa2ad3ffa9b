import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { decodeSafetensors } from '@tributary/tensors/safetensors/file'
import { typedView } from '@tributary/tensors/view'
import type { Context } from '../context.ts'
import type { TransactionalHandler } from '../http/handler.ts'
import { pauseTask } from '../tasks/pause-task.ts'
import { resumeTask } from '../tasks/resume-task.ts'
import { retryTask } from '../tasks/retry-task.ts'
import { checkInvariants } from '../testing/check-invariants.ts'
import { exampleSum } from '../testing/example-model.ts'
import type { RoundFederation } from '../testing/round-federation.ts'
import { testServices } from '../testing/test-services.ts'

const services = testServices()

/** Mean update of each round: what `exampleSum` holds over a weight of 100. */
const updates = [
  [25, 50, -100],
  [50, -200, 25],
  [-75, 0, 300],
] as const
const fedadam = { name: 'fedadam', learningRate: 0.5, beta1: 0.9, beta2: 0.99, tau: 1e-3 }

/** Adam as the paper writes it, on plain numbers; [x, m, v] after each round. */
const adam = (start: number): number[][] => {
  let [x, m, v] = [start, 0, 1e-3 * 1e-3]
  return updates.map(round => {
    const delta = (round[start - 1] as number) / 100
    m = 0.9 * m + (1 - 0.9) * delta
    v = 0.99 * v + (1 - 0.99) * (delta * delta)
    x = Math.fround(x + (0.5 * m) / (Math.sqrt(v) + 1e-3))
    return [x, m, v]
  })
}

type Made = {
  id: string
  key: string
  optimizer: string | null
  state: string | null
  sha256: string
  round: number
}

const made = (task: string): Promise<Made[]> => services.db.sql<Made[]>`
  select id, round, weights_key as key, weights_sha256 as sha256, optimizer_name as optimizer, optimizer_state_key as state
  from model_version where task = ${task} order by round`

const begin = async (): Promise<RoundFederation> => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await federation.comeUp()
  return federation
}

/** The round that is open is summed and merged. */
const playRound = async (federation: RoundFederation, task: string): Promise<void> => {
  const opened = (await federation.commands('round.opened')).map(({ data }) => data as unknown as RoundDescriptor)
  const descriptor = opened.findLast(({ task: of }) => of === task)
  assert.ok(descriptor)
  const w = updates[descriptor.round - 1] as readonly number[]
  await federation.deliver(await federation.summed(descriptor, { sum: exampleSum(w, 7n), weight: 100, accepted: 2 }))
  await federation.runMerges()
}

const tensor = async (key: string, name: string): Promise<number[]> => {
  const bytes = decodeSafetensors(await services.store.readAll(key, 10_000)).get(name)?.bytes as Uint8Array
  return [...typedView(bytes, name.startsWith('moments') ? 'F64' : 'F32')]
}

const act = (federation: RoundFederation, handler: (context: Context) => unknown, task: string) =>
  federation.context.database.transaction(sql =>
    (handler(federation.context) as TransactionalHandler<'pauseTask'>)(
      federation.request<'pauseTask'>({ params: { task }, query: undefined, body: undefined }),
      sql,
    ),
  )

test('an optimiser goes on from the state that its last version left, bit for bit', async () => {
  const federation = await begin()
  const task = await federation.createTask({ rounds: 3, serverOptimizer: fedadam })
  for (let round = 1; round <= 3; round += 1) await playRound(federation, task.id)
  const versions = await made(task.id)
  assert.deepEqual(
    versions.map(({ round, optimizer }) => [round, optimizer]),
    [
      [1, 'fedadam'],
      [2, 'fedadam'],
      [3, 'fedadam'],
    ],
  )
  const expected = [1, 2, 3].map(adam)
  for (const [round, { key, state }] of versions.entries()) {
    const now = expected.map(element => element[round] as number[])
    assert.deepEqual(
      await tensor(key, 'w'),
      now.map(([x]) => x),
    )
    assert.deepEqual(
      await tensor(state as string, 'moments/w'),
      now.flatMap(([, m, v]) => [m, v]),
    )
    assert.deepEqual(await tensor(key, 'fixed'), [9, -9])
  }
  await checkInvariants(services.db.sql)
})

test('pause, resume, a failed round and a retry in other instances change no bit', async () => {
  const straight = await begin()
  const first = await straight.createTask({ rounds: 3, serverOptimizer: fedadam })
  for (let round = 1; round <= 3; round += 1) await playRound(straight, first.id)
  const shas = (await made(first.id)).map(({ sha256 }) => sha256)

  const federation = await begin()
  const task = await federation.createTask({ rounds: 3, attempts: 1, serverOptimizer: fedadam })
  await playRound(federation, task.id)
  await act(federation, pauseTask, task.id)
  await act(federation, resumeTask, task.id)
  await federation.comeUp()
  await playRound(federation, task.id)
  const opened = (await federation.commands('round.opened')).at(-1)?.data as unknown as RoundDescriptor
  await federation.deliver(await federation.summed(opened, { sum: null, weight: 0, accepted: 0, empty: 2 }))
  assert.equal((await federation.getTask(task.id)).state, 'failed')
  await act(federation, retryTask, task.id)
  await federation.comeUp()
  await using instances = federation.ownConnections(1)
  const again = (await federation.commands('round.opened')).at(-1)?.data as unknown as RoundDescriptor
  const sum = exampleSum(updates[2], 7n)
  await federation.deliver(await federation.summed(again, { sum, weight: 100, accepted: 2 }))
  const ref = federation.merges.at(-1)
  assert.ok(ref)
  assert.equal(await federation.merge(ref, instances.contexts[0]), 'committed')
  assert.deepEqual(
    (await made(task.id)).map(({ sha256 }) => sha256),
    shas,
  )
})

test('a task that starts from a version of another optimiser begins anew, one of the same goes on', async () => {
  const federation = await begin()
  const task = await federation.createTask({ rounds: 1, serverOptimizer: fedadam })
  await playRound(federation, task.id)
  const [version] = await made(task.id)
  const base = { model: federation.model, version: version?.id }
  const yogi = await federation.createTask({ model: base, serverOptimizer: { ...fedadam, name: 'fedyogi' } })
  await playRound(federation, yogi.id)
  const state = (await made(yogi.id))[0]?.state as string
  // m = 0.9 · 0 + (1 − 0.9) · 0.25; v = τ² − (1 − 0.99) Δ² sign(τ² − Δ²)
  assert.deepEqual((await tensor(state, 'moments/w')).slice(0, 2), [
    (1 - 0.9) * 0.25,
    1e-3 * 1e-3 - (1 - 0.99) * (0.25 * 0.25) * -1,
  ])
  const adamAgain = await federation.createTask({ model: base, serverOptimizer: fedadam })
  await playRound(federation, adamAgain.id)
  const m = (1 - 0.9) * 0.25
  assert.equal(
    (await tensor((await made(adamAgain.id))[0]?.state as string, 'moments/w'))[0],
    0.9 * m + (1 - 0.9) * 0.25,
  )
  const none = await federation.createTask({ model: base })
  await playRound(federation, none.id)
  assert.deepEqual((await made(none.id))[0]?.state, null)
})

test('a state that is not what its version says is not used', async () => {
  const federation = await begin()
  const task = await federation.createTask({ rounds: 2, attempts: 1, serverOptimizer: fedadam })
  await playRound(federation, task.id)
  const [version] = await made(task.id)
  const bytes = await services.store.readAll(version?.state as string, 10_000)
  bytes[bytes.length - 1] = 1
  await services.store.put(version?.state as string, bytes)
  await playRound(federation, task.id)
  const failed = await federation.getTask(task.id)
  assert.equal(failed.history.at(-1)?.reason, 'CHECKSUM_MISMATCH')
  assert.equal((await made(task.id)).length, 1)
})
