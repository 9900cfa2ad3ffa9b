import assert from 'node:assert/strict'
import { decodeStatistics, type FeatureStatistics } from '@tributary/learning/statistics/feature-statistics'
import { followTask } from '../demo/run-task.ts'
import { uploadOnnx } from '../demo/start-model.ts'
import type { ApiClient } from '../platform/api-client.ts'
import { linearModel, tableOf } from '../testing/scaled-table.ts'

const waitMillis = 120_000

/**
 * Devices that hold the table find mean and variance of its columns, which are those of all rows in one place, and learn by
 * them what they do not learn without.
 */
export const learnByStatistics = async (api: ApiClient, devices: number): Promise<void> => {
  const newModel = async (name: string) => (await api.call('createModel', { body: { name } })).id
  const run = async (body: object) => {
    const { id } = await api.call('createTask', { body: { ...defaults(devices), ...body } as never })
    return await followTask(api, id, () => {}, AbortSignal.timeout(waitMillis))
  }

  const moments = await newModel('mean and variance of the table')
  await api.call('createStatistics', { params: { model: moments }, body: { entries: 3 } })
  const found = await run({
    name: 'mean and variance',
    model: { model: moments },
    trainer: { framework: 'statistics' },
    cohort: { ...defaults(devices).cohort, dataset: 'table' },
  })
  assert.equal(found.state, 'completed', JSON.stringify(found.reason))
  assert.deepEqual(
    found.history.map(({ accepted }) => accepted),
    [devices, devices, devices],
  )
  const params = { model: moments, version: found.currentVersion }
  const { url } = await api.call('downloadVersion', { params })
  checkStatistics(decodeStatistics(new Uint8Array(await (await fetch(url)).arrayBuffer())), devices)

  const model = await newModel('a line through the table')
  const version = await uploadOnnx(api, model, linearModel())
  const learn = async (dataset: string, more: object) => {
    const detail = await run({
      name: `learn from ${dataset}`,
      model: { model, version },
      rounds: 2,
      trainer: {
        framework: 'pytorch',
        otherFrameworks: ['onnx'],
        trainer: 'linear',
        localEpochs: 2,
        batchSize: 20,
        learningRate: 0.5,
      },
      cohort: { ...defaults(devices).cohort, dataset },
      evaluation: { dataset: `${dataset}-test`, cohortShare: 1 },
      ...more,
    })
    const { items } = await api.call('listParticipants', { params: { task: detail.id } })
    return {
      accuracy: detail.history.at(-1)?.accuracy ?? 0,
      ends: new Set(items.map(({ verdict, code }) => code ?? verdict)),
    }
  }
  const withStatistics = await learn('table', { statistics: { model: moments } })
  // Weights run off beyond what a sum takes, or stay where they lead nowhere.
  const without = await learn('raw', { attempts: 1 })
  assert.ok(withStatistics.accuracy > 0.95, `accuracy ${withStatistics.accuracy} with statistics`)
  assert.ok(without.accuracy < 0.8, `accuracy ${without.accuracy} without statistics`)
  assert.ok(without.ends.size > 0)
  const others = without.ends.difference(new Set(['accepted', 'discarded', 'OUT_OF_RANGE', 'TRAINING_DIVERGED']))
  assert.deepEqual([...others], [], 'nothing else keeps devices from learning')
}

const defaults = (devices: number) => ({
  cohort: { size: { quorum: devices, minimumToStart: devices, overSelection: 1 } },
  deadlines: { selectionSeconds: 60, roundSeconds: 60 },
  seed: 1,
})

/** Against float64 over the rows of all devices, in units of the deviation. */
const checkStatistics = ({ scale, mean, variance }: FeatureStatistics, devices: number): void => {
  const rows = Array.from({ length: devices }, (_, device) => tableOf(device))
    .flat()
    .filter(({ heldOut }) => !heldOut)
  const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  for (const [column, unit] of scale.entries()) {
    const values = rows.map(({ features }) => features[column] as number)
    const expected = meanOf(values)
    const spread = meanOf(values.map(value => (value - expected) ** 2))
    const found = { mean: (mean[column] as number) * unit, variance: (variance[column] as number) * unit ** 2 }
    assert.ok(Math.abs(found.mean - expected) < 1e-6 * Math.sqrt(spread), `mean ${found.mean}, not ${expected}`)
    assert.ok(Math.abs(found.variance - spread) < 1e-6 * spread, `variance ${found.variance}, not ${spread}`)
  }
}
