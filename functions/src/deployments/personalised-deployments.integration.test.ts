import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Personalised } from '@tributary/contracts/personalisation'
import { DeploymentWorld } from '../testing/deployment-world.ts'
import { tokens } from '../testing/test-api.ts'
import { testServices } from '../testing/test-services.ts'

const services = testServices()

const wish = { dataset: 'digits', localEpochs: 2, learningRate: 0.1 }
const metrics = {
  examples: 40,
  before: { loss: 0.5, accuracy: 0.75 },
  after: { loss: 0.25, accuracy: 0.875 },
}

suite('deployments that devices fit to their own data', { timeout: 120_000 }, () => {
  test('the wish goes to the nodes with its defaults, and with the task that made the version', async () => {
    const world = await DeploymentWorld.begin(services)
    const task = await world.federation.createTask()
    const { sql } = services.db
    await sql`update model_version set task = ${task.id} where id = ${world.federation.version}`
    const id = await world.deploy({ personalise: wish })
    const complete = { ...wish, batchSize: 32, optimizer: 'sgd', frozen: [] }
    assert.deepEqual((await world.get(id)).personalise, complete)
    const [descriptor] = (await world.status()).deployments ?? []
    assert.deepEqual([descriptor?.personalise, descriptor?.task], [complete, task.id])
    const plain = await world.deploy({ target: { groups: ['others'] } })
    assert.equal('personalise' in (await world.get(plain)), false)
    assert.equal('personalised' in (await world.get(plain)), false)
  })

  test('how it came out is kept by device, and counted for the current revision', async () => {
    const world = await DeploymentWorld.begin(services)
    const id = await world.deploy({ personalise: wish })
    const outcomes: Personalised[] = [
      { outcome: 'personal', metrics },
      { outcome: 'global' },
      { outcome: 'refused', code: 'POLICY_REFUSED', detail: 'Rule "personalise" of the owner\'s policy.' },
    ]
    const serving = { revision: 1, state: 'serving' } as const
    await world.report(id, ...outcomes.map((personalised, device) => ({ ...serving, device, personalised })))
    // It goes on at this one.
    await world.report(id, { ...serving, device: 3 })
    assert.deepEqual((await world.get(id)).personalised, { personal: 1, global: 1, refused: 1, failed: 0 })
    const { body } = await world.api('GET', `/v1/deployments/${id}/devices`, { token: tokens.viewer })
    const byDevice = new Map(body.items.map((item: Record<string, unknown>) => [item.device, item.personalised]))
    assert.deepEqual(
      world.federation.devices.map(device => byDevice.get(device.id)),
      [...outcomes, undefined],
    )
    await world.report(id, { ...serving, device: 0, personalised: { outcome: 'failed', code: 'TRAINING_DIVERGED' } })
    assert.deepEqual((await world.get(id)).personalised, { personal: 0, global: 1, refused: 1, failed: 1 })
    assert.equal((await world.get(id)).counts.serving, 4)
    await world.pass(id, 60)
    await world.status()
    assert.deepEqual((await world.get(id)).personalised, { personal: 0, global: 0, refused: 0, failed: 0 })
  })

  test('a wish that no trainer takes is refused', async () => {
    const world = await DeploymentWorld.begin(services)
    const { model, version } = world.federation
    for (const fields of [{ localEpochs: -1 }, { learningRate: 0 }, { optimizer: 'magic' }, { dataset: '../etc' }]) {
      const { body } = await world.post('/v1/deployments', { model, version, personalise: { ...wish, ...fields } })
      assert.equal(body.code, 'BODY_INVALID', JSON.stringify(fields))
    }
  })
})
