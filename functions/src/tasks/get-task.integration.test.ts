import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EvaluationDescriptor, RoundDescriptor } from '@tributary/contracts/round'
import type { TransactionalHandler } from '../http/handler.ts'
import { exampleSum } from '../testing/example-model.ts'
import { testServices } from '../testing/test-services.ts'
import { getTask } from './get-task.ts'
import { pauseTask } from './pause-task.ts'
import { resumeTask } from './resume-task.ts'

const services = testServices()

const begin = async () => {
  const federation = await services.begin({ north: { trainers: 2, evaluators: 1 } })
  await federation.comeUp()
  const { id } = await federation.createTask({ rounds: 2, evaluation: { dataset: 'mnist' } })
  const request = federation.request<'getTask'>({ params: { task: id }, query: undefined, body: undefined })
  // An instance that lives as long as the test, and one that has seen nothing.
  const warm = getTask(federation.context)
  const seen = new Set<string>()
  /** What the warm instance shows is what is so, and something else than before. */
  const changed = async (what: string) => {
    const shown = await warm(request)
    assert.deepEqual(shown, await getTask(federation.context)(request), what)
    assert.equal(await warm(request), shown, `${what}: read anew though nothing changed`)
    const text = JSON.stringify(shown)
    assert.ok(!seen.has(text), `${what}: nothing is seen of it`)
    seen.add(text)
  }
  const move = (handler: (context: typeof federation.context) => unknown) =>
    services.db.database.transaction(sql =>
      (handler(federation.context) as TransactionalHandler<'pauseTask'>)(
        federation.request<'pauseTask'>({ params: { task: id }, query: undefined, body: undefined }),
        sql,
      ),
    )
  return { federation, id, changed, move, opened: () => federation.commands('round.opened') }
}

test('an instance that answered before shows every change at once, and reads nothing anew where there is none', async () => {
  const { federation, id, changed, move, opened } = await begin()
  await changed('opened')
  const [descriptor] = (await opened()).map(({ data }) => data as unknown as RoundDescriptor)
  const epoch = descriptor?.shards[0]?.epoch as number
  const progress = { task: id, round: 1, attempt: 1, shard: 0, epoch, selected: 1, accepted: 0, refused: 0 }
  const node = federation.nodeOf('north')
  await federation.status(node, { progress: [{ ...progress, state: 'selecting' }] })
  await changed('selected')
  await federation.status(node, { progress: [{ ...progress, accepted: 1, state: 'collecting' }] })
  await changed('accepted')
  const sum = { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 2 }
  await federation.deliver(await federation.summed(descriptor as RoundDescriptor, sum))
  await changed('closing')
  await federation.runMerges()
  await changed('committed')
  const [evaluation] = (await federation.commands('evaluation.opened')).map(
    ({ data }) => data as unknown as EvaluationDescriptor,
  )
  const found = { examples: '8', correct: '6', loss_q20: '4' }
  await federation.deliver(
    federation.event('evaluation.summed', {
      ...{ evaluation: evaluation?.evaluation as string, region: 'north', shard: 0, node: node.id, evaluators: 1 },
      epoch: evaluation?.shards[0]?.epoch as number,
      metrics: found,
    }),
  )
  await changed('evaluated')
  await move(pauseTask)
  await changed('paused')
  await move(resumeTask)
  await changed('resumed')
  await federation.cancelTask(id)
  await changed('cancelled')
})

test('the place in the queue is always read anew, since it depends on other tasks', async () => {
  const { federation } = await begin()
  await services.db.sql`update region set task_slots = 1`
  const [first, second] = [await federation.createTask(), await federation.createTask()]
  const warm = getTask(federation.context)
  const place = async () => {
    const request = federation.request<'getTask'>({ params: { task: second.id }, query: undefined, body: undefined })
    return (await warm(request)).queue?.position
  }
  assert.equal(await place(), 2)
  await federation.cancelTask(first.id)
  assert.equal(await place(), 1)
})
