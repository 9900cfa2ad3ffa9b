import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { pino } from 'pino'
import { ModelError } from '../../agent/job/work.ts'
import { DataError } from '../../data/data-error.ts'
import { ModelProcess } from '../model-process.ts'
import { TestDeployments, times } from '../testing/versions.ts'
import type { LabelledRows } from './dataset-rows.ts'
import { OwnerSamples } from './sample-set.ts'

suite("the owner's samples", () => {
  let deployments: Awaited<ReturnType<typeof TestDeployments.create>>
  let process: ModelProcess
  before(async () => {
    deployments = await TestDeployments.create()
    const { graph, weights } = await deployments.offer('twice', times(2))
    const fileOf = (file: typeof graph) => ({ path: deployments.fileOf(file), sha256: file.sha256 })
    const files = { graph: fileOf(graph), weights: fileOf(weights) }
    process = await ModelProcess.open(files, { threads: 1, mostRows: 4, stallMillis: 60_000 })
  })
  after(async () => {
    await process[Symbol.asyncDispose]()
    await deployments[Symbol.asyncDispose]()
  })

  // Twice the row: the larger number is the class. Three of four labels are right.
  const rows: LabelledRows = {
    features: Float32Array.of(1, 2, 3, 1, 0, 5, 7, 6),
    labels: Int32Array.of(1, 0, 1, 1),
    rows: 4,
  }
  const check = async (declared: unknown, given: LabelledRows = rows): Promise<void> => {
    const text = typeof declared === 'string' ? declared : JSON.stringify({ models: { twice: declared } })
    await writeFile(join(deployments.folder, 'inference.json'), text)
    const firstRows = async () => given
    const samples = new OwnerSamples({ dataDir: deployments.folder, firstRows, log: pino({ level: 'silent' }) })
    await samples.check({ model: '0190b5a0-0000-7000-8000-000000000001', modelName: 'twice' }, process)
  }
  const record = (samples: unknown) => writeFile(join(deployments.folder, 'recorded.json'), JSON.stringify(samples))
  const tensor = (name: string, ...data: number[]) => ({ name, datatype: 'FP32', shape: [data.length / 2, 2], data })

  test('without any, the sample of the agent is enough', async () => {
    await check({})
    await check('{"models":{"other":{"dataset":{"name":"d","leastAccuracy":1}}}}')
  })

  test('held-out rows must come out right as often as the owner asks for', async () => {
    await check({ dataset: { name: 'd' } })
    await check({ dataset: { name: 'd', leastAccuracy: 0.75 } })
    await assert.rejects(check({ dataset: { name: 'd', leastAccuracy: 0.76 } }), (error: unknown) => {
      assert.ok(error instanceof ModelError)
      // What leaves the device says nothing of how the data came out.
      assert.doesNotMatch(error.message, /\d/)
      return true
    })
  })

  test('numbers that are not finite do not pass, whatever is asked for', async () => {
    const overflowing = { ...rows, features: Float32Array.of(3e38, 1, 1, 1, 1, 1, 1, 1) }
    await assert.rejects(check({ dataset: { name: 'd' } }, overflowing), ModelError)
    await record([{ inputs: [tensor('x', 3e38, 1)] }])
    await assert.rejects(check({ recorded: { file: 'recorded.json' } }), ModelError)
  })

  test('recorded outputs must agree: in their largest, or within a tolerance', async () => {
    await record([
      { inputs: [tensor('x', 1, 2, 5, 4)], outputs: [tensor('y', 2.1, 4, 9, 8.1)] },
      { inputs: [tensor('x', 0, 1)], outputs: [tensor('y', 1, 0)] },
    ])
    const recorded = (fields: object) => check({ recorded: { file: 'recorded.json', ...fields } })
    await recorded({})
    // By their largest two rows of three agree; within 0.2 only the first does.
    await recorded({ leastAgreement: 0.66 })
    await assert.rejects(recorded({ leastAgreement: 0.67 }), ModelError)
    await recorded({ leastAgreement: 0.33, tolerance: 0.2 })
    await assert.rejects(recorded({ leastAgreement: 0.34, tolerance: 0.2 }), ModelError)
  })

  test('a version that does not take what was recorded does not pass', async () => {
    await record([{ inputs: [tensor('renamed', 1, 2)] }])
    await assert.rejects(check({ recorded: { file: 'recorded.json' } }), /INPUT_MISSING/)
  })

  test('samples that cannot be read are the fault of nobody but their owner', async () => {
    const faults: unknown[] = [
      '{',
      '{"models":{"twice":{"dataset":{"name":"d","rows":0}}}}',
      '{"models":{"twice":{"data":1}}}',
      { recorded: { file: 'none.json' } },
      { recorded: { file: '../outside.json' } },
    ]
    for (const fault of faults) await assert.rejects(check(fault), DataError, JSON.stringify(fault))
    for (const content of [{}, [], [{}], [{ inputs: [{ name: 'x' }] }]]) {
      await record(content)
      await assert.rejects(check({ recorded: { file: 'recorded.json' } }), DataError, JSON.stringify(content))
    }
  })
})
