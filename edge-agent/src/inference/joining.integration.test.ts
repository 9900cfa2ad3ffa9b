import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { ModelProto } from '@tributary/onnx-train/gen/onnx_pb'
import { loadGolden } from '@tributary/onnx-train/testing/golden-fixture'
import { node } from '@tributary/onnx-train/testing/model-of'
import { ModelProcess } from './model-process.ts'
import type { InferenceTensor } from './tensor.ts'
import { filled } from './testing/filled.ts'
import { modelOfGraph, TestDeployments, times } from './testing/versions.ts'
import { joinRows, rowsOf } from './worker/join-rows.ts'

const mostRows = 16

suite('requests that are joined', () => {
  let deployments: Awaited<ReturnType<typeof TestDeployments.create>>
  before(async () => {
    deployments = await TestDeployments.create()
  })
  after(() => deployments[Symbol.asyncDispose]())

  const open = async (model: ModelProto): Promise<ModelProcess> => {
    const { graph, weights } = await deployments.offer('m', model)
    const fileOf = (file: typeof graph) => ({ path: deployments.fileOf(file), sha256: file.sha256 })
    return ModelProcess.open(
      { graph: fileOf(graph), weights: fileOf(weights) },
      { threads: 1, mostRows, stallMillis: 60_000 },
    )
  }

  // An MLP, a convolution, attention over whole numbers, and normalisation exported for training.
  for (const [name, from] of [
    ['2nn', 1],
    ['mcmahan-cnn', 1],
    ['transformer', 2],
    ['tabular', 1],
  ] as const) {
    test(`${name}: every row has the same bytes alone and in company`, async () => {
      await using process = await open(loadGolden(name).model)
      const { inputs, outputs, joinsFrom } = process.description
      assert.equal(joinsFrom, from)
      const names = outputs.map(output => output.name)
      const rows = filled(inputs, 11)
      const part = (first: number, end: number): InferenceTensor[] => rows.map(tensor => rowsOf(tensor, first, end))
      const run = async (...parts: InferenceTensor[][]): Promise<readonly InferenceTensor[]> => {
        const alone = parts.length === 1 && parts[0]?.[0]?.shape[0] === 1
        return (await process.run(parts, names, alone && joinsFrom === 2)).outputs
      }
      const joined = await run(part(0, 1), part(1, 4), part(4, 11))
      for (const [first, end] of [
        [0, 1],
        [1, 4],
        [4, 11],
        [10, 11],
      ] as const) {
        const alone = await run(part(first, end))
        assert.deepEqual(
          alone.map(({ shape, bytes }) => [shape, Buffer.from(bytes)]),
          joined.map(tensor => rowsOf(tensor, first, end)).map(({ shape, bytes }) => [shape, Buffer.from(bytes)]),
        )
      }
    })
  }

  test('a model whose rows depend on each other is not joined, though its first dimension is free', async () => {
    const model = modelOfGraph({
      inputs: [{ name: 'x', dtype: 'float32', shape: ['steps', 2] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['steps', 2] }],
      constants: new Map([['w', { dtype: 'float32' as const, shape: [2, 2], data: Float32Array.of(1, 0, 0, 1) }]]),
      nodes: [
        node('MatMul', ['x', 'w'], 'z'),
        // Softmax over the first dimension: every row changes all others.
        node('Softmax', ['z'], 'y', { axis: { int: 0 } }),
      ],
    })
    await using process = await open(model)
    assert.equal(process.description.joinsFrom, undefined)
  })

  test('a model with a fixed batch is not joined', async () => {
    const model = modelOfGraph({
      inputs: [{ name: 'x', dtype: 'float32', shape: [4, 2] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: [4, 2] }],
      constants: new Map([['w', { dtype: 'float32' as const, shape: [2, 2], data: Float32Array.of(1, 0, 0, 1) }]]),
      nodes: [node('MatMul', ['x', 'w'], 'y')],
    })
    await using process = await open(model)
    assert.deepEqual([process.description.joinsFrom, process.description.inputs[0]?.shape], [undefined, [4, 2]])
  })

  test('files that are not what was deployed are refused, and so is what the runtime does not load', async () => {
    const { graph, weights } = await deployments.offer('m', times(2))
    const options = { threads: 1, mostRows, stallMillis: 60_000 }
    const path = deployments.fileOf
    const graphFile = { path: path(graph), sha256: graph.sha256 }
    const swapped = { graph: graphFile, weights: { path: path(graph), sha256: weights.sha256 } }
    await assert.rejects(ModelProcess.open(swapped, options), { code: 'FILES_DAMAGED' })
    const missing = {
      graph: graphFile,
      weights: { path: path({ ...weights, sha256: '0'.repeat(64) }), sha256: weights.sha256 },
    }
    await assert.rejects(ModelProcess.open(missing, options), { code: 'FILES_DAMAGED' })
    const other = await deployments.offer('m', loadGolden('2nn').model)
    const mixed = { graph: graphFile, weights: { path: path(other.weights), sha256: other.weights.sha256 } }
    await assert.rejects(ModelProcess.open(mixed, options), { code: 'MODEL_UNSUPPORTED' })
  })
})

test('joined inputs lie one after the other, by name', () => {
  const tensor = (name: string, ...values: number[]): InferenceTensor => ({
    name,
    datatype: 'UINT8',
    shape: [values.length / 2, 2],
    bytes: Uint8Array.from(values),
  })
  const joined = joinRows([
    [tensor('a', 1, 2), tensor('b', 3, 4)],
    [tensor('b', 7, 8, 9, 10), tensor('a', 5, 6, 11, 12)],
  ])
  assert.deepEqual(joined, [tensor('a', 1, 2, 5, 6, 11, 12), tensor('b', 3, 4, 7, 8, 9, 10)])
  assert.deepEqual(
    joined.map(each => rowsOf(each, 1, 2)),
    [tensor('a', 5, 6), tensor('b', 7, 8)],
  )
})
