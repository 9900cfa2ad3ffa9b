import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { exampleSum } from '../testing/example-model.ts'
import { testApi, tokens } from '../testing/test-api.ts'
import { testServices } from '../testing/test-services.ts'
import { modelsHandlers } from './models-handlers.ts'

const services = testServices()

test('the line of a version leads over its rounds to the one that was uploaded, with regions and configuration', {
  timeout: 60_000,
}, async () => {
  const federation = await services.begin({ north: { trainers: 2 }, south: { trainers: 1 } })
  await federation.comeUp()
  const task = await federation.createTask({ rounds: 3, name: 'lined', trainer: { localEpochs: 2 } })
  for (let round = 1; round <= 3; round += 1) {
    const opened = (await federation.commands('round.opened')).slice(-2)
    for (const { region, data } of opened) {
      const accepted = region === 'north' ? 2 : 1
      const sum = exampleSum([accepted, 0, 0], 5n)
      const shard = { sum, weight: 10 * accepted, accepted }
      await federation.deliver(await federation.summed(data as unknown as RoundDescriptor, shard))
    }
    await federation.runMerges()
  }
  await services.db.sql`update task set settings = settings - 'serverOptimizer'`
  const api = testApi('models', modelsHandlers(federation.context), { database: services.db.database })
  const { currentVersion } = await federation.getTask(task.id)
  const path = `/v1/models/${federation.model}/versions/${currentVersion}/lineage`
  const { body } = await api('GET', path, { token: tokens.viewer })
  assert.deepEqual(
    body.items.map(({ version, origin }: { version: { number: number }; origin: { round: number } | null }) => [
      version.number,
      origin?.round ?? null,
    ]),
    [
      [3, 3],
      [2, 2],
      [1, 1],
      [0, null],
    ],
  )
  const { origin } = body.items[0]
  assert.deepEqual(
    { ...origin, trainer: origin.trainer.localEpochs, aggregation: origin.aggregation.rule },
    {
      task: task.id,
      taskName: 'lined',
      round: 3,
      attempt: 1,
      regions: [
        { region: 'north', devices: 2, weight: '20' },
        { region: 'south', devices: 1, weight: '10' },
      ],
      trainer: 2,
      aggregation: 'weighted-mean',
      // The settings of a task from before there were any.
      serverOptimizer: { name: 'none', learningRate: 1 },
    },
  )
  const first = await api('GET', path, { token: tokens.viewer, query: 'limit=3' })
  const second = await api('GET', path, { token: tokens.viewer, query: `limit=3&cursor=${first.body.next}` })
  assert.deepEqual([...first.body.items, ...second.body.items], body.items)
  assert.equal(second.body.next, null)
  const byTask = await api('GET', `/v1/models/${federation.model}/versions`, {
    token: tokens.viewer,
    query: `task=${task.id}`,
  })
  assert.equal(byTask.body.items.length, 3)
  // A task needs the version that it began with and the one that it has come to; those between may go.
  const [, middle, , root] = body.items.map(({ version }: { version: { id: string } }) => version.id)
  const remove = async (id: string) => {
    const answer = await api('DELETE', `/v1/models/${federation.model}/versions/${id}`, {
      token: tokens.operator,
      key: `delete-${id}`,
    })
    return answer.body.references?.[0] ?? answer.body.state
  }
  assert.deepEqual(await remove(currentVersion), { kind: 'task', id: task.id })
  assert.deepEqual(await remove(root), { kind: 'task', id: task.id })
  assert.equal(await remove(middle), 'deleted')
  const after = await api('GET', path, { token: tokens.viewer })
  assert.deepEqual(
    after.body.items.map(({ version }: { version: { state: string } }) => version.state),
    ['ready', 'deleted', 'ready', 'ready'],
  )
})
