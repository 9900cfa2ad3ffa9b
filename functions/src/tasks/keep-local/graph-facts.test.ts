import assert from 'node:assert/strict'
import { test } from 'node:test'
import { modelOf, node, randomTensor } from '@tributary/onnx-train/testing/model-of'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { graphFacts } from './graph-facts.ts'

test('a graph tells its batch normalisations, also where names do not, and the order of the forward pass', () => {
  const tensor = (...shape: number[]) => randomTensor('float32', shape, 1)
  // The initialisers come in another order than the nodes read them.
  const constants = { out: tensor(3, 2), m: tensor(3), v: tensor(3), s: tensor(3), b: tensor(3), into: tensor(4, 3) }
  const model = modelOf('float32', [4], constants, [
    node('MatMul', ['x', 'into'], 'h'),
    node('BatchNormalization', ['h', 's', 'b', 'm', 'v'], 'n'),
    node('MatMul', ['n', 'out'], 'y'),
  ])
  const { batchNorm, order } = graphFacts(writeModel(withoutWeights(model)))
  assert.deepEqual([...batchNorm], ['s', 'b', 'm', 'v'])
  assert.deepEqual(
    order.filter(name => name in constants),
    ['into', 's', 'b', 'm', 'v', 'out'],
  )
})
