import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileTraining } from './compile-training.ts'
import { graphFromProto } from './graph-from-proto.ts'
import { modelFromGraph } from './graph-to-proto.ts'
import { graphOf, parametersOf } from './parameters.ts'
import { readModel } from './read-model.ts'
import { node, randomTensor } from './testing/model-of.ts'
import { ortRunner } from './testing/ort-runner.ts'
import { writeModel } from './write-model.ts'

/** As converters of scikit-learn write a classifier: probabilities, then names of classes by operators of another domain. */
const classifier = (): Uint8Array => {
  const model = modelFromGraph(
    {
      name: 'mlp',
      inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 4] }],
      outputs: [
        { name: 'label', dtype: 'int64', shape: ['batch'] },
        { name: 'probabilities', dtype: 'float32', shape: ['batch', 3] },
      ],
      constants: new Map([
        ['w', randomTensor('float32', [4, 3], 1)],
        ['names', { dtype: 'int64', shape: [3], data: BigInt64Array.of(10n, 20n, 30n) }],
      ]),
      nodes: [
        node('MatMul', ['x', 'w'], 'scores'),
        node('Softmax', ['scores'], 'probabilities', { axis: { int: 1 } }),
        node('ArgMax', ['probabilities'], 'best', { axis: { int: 1 }, keepdims: { int: 0 } }),
        node('ArrayFeatureExtractor', ['names', 'best'], 'label'),
      ],
    },
    17,
  )
  const foreign = model.graph?.node.at(-1)
  if (foreign !== undefined) foreign.domain = 'ai.onnx.ml'
  return writeModel(model)
}

test('a classifier of another domain trains up to its probabilities', async () => {
  const limits = { maxBytes: 1e6 }
  assert.throws(() => readModel(classifier(), limits), { code: 'DOMAIN_UNSUPPORTED', nodeName: 'label_node' })
  const model = readModel(classifier(), { ...limits, output: 'probabilities' })
  const graph = graphFromProto(graphOf(model))
  assert.deepEqual(
    graph.nodes.map(({ op }) => op),
    ['MatMul', 'Softmax'],
  )
  assert.deepEqual([...graph.constants.keys()], ['w'])
  assert.deepEqual(graph.outputs, [{ name: 'probabilities', dtype: 'float32', shape: ['batch', 3] }])
  const options = { loss: 'softmax-cross-entropy', optimizer: 'sgd', form: 'loop' } as const
  assert.equal((await compileTraining(model, options, ortRunner)).classes, 3)
})

test('a value inside the graph can be the output, and what nothing computes is refused', async () => {
  const model = readModel(classifier(), { maxBytes: 1e6, output: 'scores' })
  assert.deepEqual(
    parametersOf(model).map(({ name }) => name),
    ['w'],
  )
  const options = { loss: 'mean-squared-error', optimizer: 'sgd', form: 'step' } as const
  assert.deepEqual((await compileTraining(model, options, ortRunner)).label.shape, [3])
  assert.throws(() => readModel(classifier(), { maxBytes: 1e6, output: 'nobody' }), { code: 'OUTPUTS_UNSUPPORTED' })
  assert.throws(() => readModel(classifier(), { maxBytes: 1e6, output: 'w' }), { code: 'OUTPUTS_UNSUPPORTED' })
})
