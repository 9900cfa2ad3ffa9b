import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node } from '../graph.ts'
import { modelFromGraph } from '../graph-to-proto.ts'
import type { Tensor } from '../tensor.ts'
import { int64 } from '../testing/gradient-cases.ts'
import { node, randomTensor } from '../testing/model-of.ts'
import { ortRunner } from '../testing/ort-runner.ts'
import { writeModel } from '../write-model.ts'
import { liftOpset } from './lift-opset.ts'

const vector = (...values: number[]): Tensor => ({
  dtype: 'float32',
  shape: [values.length],
  data: Float32Array.from(values),
})
const ints = (...values: number[]) => ({ ints: values })
const statistics = { scale: vector(1, 2, 3), bias: vector(1, 0, -1), mean: vector(0, 1, 2), variance: vector(1, 2, 3) }

const cases: readonly { opset: number; nodes: readonly Node[]; constants?: Record<string, Tensor> }[] = [
  {
    opset: 11,
    nodes: [node('Squeeze', ['x'], 's', { axes: ints(1) }), node('Unsqueeze', ['s'], 'y', { axes: ints(0, 3) })],
  },
  { opset: 11, nodes: [node('ReduceSum', ['x'], 'y', { axes: ints(1, 2), keepdims: { int: 0 } })] },
  { opset: 13, nodes: [node('ReduceMean', ['x'], 'y', { axes: ints(-1) })] },
  {
    opset: 17,
    nodes: [
      node('ReduceMax', ['x'], 'a'),
      node('ReduceL2', ['x'], 'b', { axes: ints(2) }),
      node('Add', ['a', 'b'], 'y'),
    ],
  },
  { opset: 12, nodes: [node('Split', ['x'], ['a', 'y'], { axis: { int: 3 }, split: ints(1, 3) })] },
  { opset: 13, nodes: [node('Split', ['x'], ['a', 'y'], { axis: { int: 3 } })] },
  { opset: 12, nodes: [node('Softmax', ['x'], 'y', { axis: { int: 2 } })] },
  { opset: 11, nodes: [node('LogSoftmax', ['x'], 'y')] },
  { opset: 12, nodes: [node('Softmax', ['x'], 'y', { axis: { int: -1 } })] },
  { opset: 11, nodes: [node('Dropout', ['x'], 'y', { ratio: { float: 0.5 } })] },
  {
    opset: 12,
    constants: statistics,
    nodes: [
      node('Transpose', ['x'], 't', { perm: ints(0, 2, 1, 3) }),
      node('BatchNormalization', ['t', 'scale', 'bias', 'mean', 'variance'], 'y'),
    ],
  },
  { opset: 11, constants: { pads: int64([8], 0, 0, 1, 0, 0, 0, 0, 1) }, nodes: [node('Pad', ['x', 'pads'], 'y')] },
]

for (const { opset, nodes, constants = {} } of cases) {
  const names = nodes.map(({ op }) => op).join(', ')
  test(`${names} of opset ${opset} compute the same in the opset they are lifted to`, async () => {
    const x = randomTensor('float32', [2, 1, 3, 4], 1)
    const output = nodes.at(-1)?.outputs.at(-1) ?? ''
    const graph = {
      name: 'old',
      inputs: [{ name: 'x', dtype: 'float32' as const, shape: x.shape }],
      outputs: [{ name: output }],
      constants: new Map(Object.entries(constants)),
      nodes,
    }
    const lifted = liftOpset(graph, opset)
    assert.equal(lifted.opset, 18)
    const run = async (model: Uint8Array): Promise<Tensor | undefined> =>
      (await ortRunner(model, new Map([['x', x]]), [output])).get(output)
    const before = await run(writeModel(modelFromGraph(graph, opset)))
    assert.deepEqual(await run(writeModel(modelFromGraph(lifted.graph, lifted.opset))), before)
  })
}

test('a BatchNormalization that had outputs for its statistics was training', () => {
  const names = ['y', 'm', 'v', 'saved_m', 'saved_v']
  const old = node('BatchNormalization', ['x', 's', 'b', 'mean', 'variance'], names)
  const graph = { name: 'old', inputs: [], outputs: [], constants: new Map(), nodes: [old] }
  const [lifted] = liftOpset(graph, 12).graph.nodes
  assert.deepEqual(lifted?.attributes.get('training_mode'), { int: 1 })
  assert.deepEqual(lifted?.outputs, ['y', 'm', 'v'])
})

test('an operator that changed its meaning is refused with its name', () => {
  const graph = { name: 'old', inputs: [], outputs: [], constants: new Map(), nodes: [node('Hardmax', ['x'], 'y')] }
  assert.throws(() => liftOpset(graph, 12), { code: 'OPSET_UNSUPPORTED', nodeName: 'y_node' })
})
