import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { checkInvariants } from '../testing/check-invariants.ts'
import { exampleSum } from '../testing/example-model.ts'
import type { RoundFederation } from '../testing/round-federation.ts'
import { testServices } from '../testing/test-services.ts'
import { runDueWork } from './due-work.ts'

const services = testServices()

const begin = async () => {
  const federation = await services.begin({ north: { trainers: 3 }, south: { trainers: 2 } })
  await federation.comeUp()
  const opened = async () =>
    (await federation.commands('round.opened')).map(({ data }) => data as unknown as RoundDescriptor)
  return { federation, opened }
}
const lineOf = (federation: RoundFederation, index: number, verdict: 'accepted' | 'invalid') => ({
  device: federation.devices[index]?.id as string,
  label: `device-${index}`,
  verdict,
  ...(verdict === 'invalid' && { code: 'NOT_FINITE' }),
})
const nothing = { sum: null, weight: 0, accepted: 0 }
const some = { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 2 }
const participants = async () => [
  ...(await services.db.sql`select label, verdict, code from participation order by label`),
]

test('participation lists of an abandoned attempt that nobody took in are taken in later, once', async () => {
  const { federation, opened } = await begin()
  const task = await federation.createTask({ attempts: 1, cohort: { dataset: 'mnist', size: { quorum: 5 } } })
  const [north, south] = await opened()
  await federation.deliver(
    await federation.summed(north as RoundDescriptor, { ...nothing, lines: [lineOf(federation, 0, 'invalid')] }),
    await federation.summed(south as RoundDescriptor, { ...nothing, lines: [lineOf(federation, 4, 'invalid')] }),
  )
  assert.equal((await federation.getTask(task.id)).state, 'failed')
  // The function that was to be started never was.
  federation.merges.length = 0
  assert.equal(await runDueWork(federation.context), 0)
  const age = () => services.db.sql`
    update round_attempt set settled_at = settled_at - interval '31 seconds', merge_started_at = merge_started_at - interval '31 seconds'`
  await age()
  await runDueWork(federation.context)
  await runDueWork(federation.context)
  assert.equal(federation.merges.length, 1)
  await federation.runMerges()
  assert.deepEqual(await participants(), [
    { label: 'device-0', verdict: 'invalid', code: 'NOT_FINITE' },
    { label: 'device-4', verdict: 'invalid', code: 'NOT_FINITE' },
  ])
  await age()
  assert.equal(await runDueWork(federation.context), 0)
  await checkInvariants(services.db.sql)
})

test('a shard that reports after its round was settled counts no more, but who took part there is seen', async () => {
  for (const quorum of [2, 4]) {
    const { federation, opened } = await begin()
    const task = await federation.createTask({ attempts: 1, cohort: { dataset: 'mnist', size: { quorum } } })
    const [north, south] = (await opened()) as [RoundDescriptor, RoundDescriptor]
    const late = await federation.summed(south, { ...some, lines: [lineOf(federation, 4, 'accepted')] })
    await federation.deliver(await federation.summed(north, { ...some, lines: [lineOf(federation, 0, 'accepted')] }))
    await services.db.sql`update round_attempt set deadline = now() - interval '16 seconds'`
    await runDueWork(federation.context)
    await federation.runMerges()
    const before = await federation.getTask(task.id)
    assert.equal(before.state, quorum === 2 ? 'completed' : 'failed')
    await federation.deliver(late, late)
    await federation.deliver(late)
    assert.equal(federation.merges.length, 1)
    await federation.runMerges()
    assert.deepEqual(await participants(), [
      { label: 'device-0', verdict: 'accepted', code: null },
      { label: 'device-4', verdict: 'discarded', code: null },
    ])
    assert.deepEqual(await federation.getTask(task.id), before)
    await services.db
      .sql`update round_attempt set merge_started_at = now() - interval '1 hour', settled_at = now() - interval '1 hour'`
    assert.equal(await runDueWork(federation.context), 0)
    await checkInvariants(services.db.sql)
  }
})
