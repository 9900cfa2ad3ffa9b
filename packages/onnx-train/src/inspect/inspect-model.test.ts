import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { StringStringEntryProtoSchema } from '../gen/onnx_pb.ts'
import { OnnxModelError } from '../onnx-model-error.ts'
import { graphOf } from '../parameters.ts'
import { readModel } from '../read-model.ts'
import type { Tensor } from '../tensor.ts'
import { modelOf, node, randomTensor } from '../testing/model-of.ts'
import { ortRunner } from '../testing/ort-runner.ts'
import { inspectModel } from './inspect-model.ts'

const options = { loss: 'softmax-cross-entropy', optimizer: 'sgd', form: 'loop' } as const
const float = (shape: number[], seed: number): Tensor => randomTensor('float32', shape, seed)

test('a model is described with what trains, what is frozen and what gradients pass', async () => {
  const constants = { body: float([4, 6], 1), head: float([6, 3], 2), unused: float([3], 3), other: float([3], 4) }
  const model = modelOf('float32', [4], constants, [
    node('Tan', ['x'], 't'),
    node('Add', ['unused', 'other'], 'nobody_reads'),
    node('MatMul', ['t', 'body'], 'h'),
    node('Relu', ['h'], 'r'),
    node('MatMul', ['r', 'head'], 'y'),
  ])
  const { parameters, operators, training, opset, nodes } = await inspectModel(
    model,
    { ...options, trainable: { except: ['body'] } },
    ortRunner,
  )
  assert.deepEqual([opset, nodes, training instanceof OnnxModelError], [17, 5, false])
  assert.deepEqual(
    parameters.map(({ name, role, elements }) => [name, role, elements]),
    [
      ['body', 'frozen', 24],
      ['head', 'trains', 18],
      ['unused', 'does not reach the output', 3],
      ['other', 'does not reach the output', 3],
    ],
  )
  assert.deepEqual(
    operators.map(({ op, count, gradient }) => [op, count, gradient]),
    [
      ['MatMul', 2, 'passes'],
      ['Relu', 1, 'not needed'],
      ['Tan', 1, 'not needed'],
    ],
  )
})

test('a model that does not train is described all the same, with the reason', async () => {
  const model = modelOf('float32', [4], { w: float([4, 3], 1) }, [
    node('MatMul', ['x', 'w'], 'm'),
    node('Tan', ['m'], 'y'),
  ])
  const { operators, training } = await inspectModel(model, options, ortRunner)
  assert.ok(training instanceof OnnxModelError && training.code === 'OPERATOR_UNSUPPORTED')
  assert.deepEqual(operators.find(({ op }) => op === 'Tan')?.gradient, 'unknown')
})

test('a normalisation of Keras that the converter merged into a kernel is noticed by what is left of it', async () => {
  const file = readFileSync(new URL('../../fixtures/exports/tf2onnx-17-normalised.onnx', import.meta.url))
  const { faults } = await inspectModel(readModel(file, { maxBytes: 1e6 }), options, ortRunner)
  const [fused] = faults
  assert.equal(fused?.code, 'FUSED_BATCH_NORM')
  assert.match(fused.message, /batch_normalization_1\/batchnorm\/sub/)
  assert.doesNotMatch(fused.message, /batch_normalization_1_2/)
})

test('what exporters did to weights is noticed by their names', async () => {
  const conv = (weight: string, bias: string) => {
    const constants = { [weight]: float([2, 1, 3, 3], 1), [bias]: float([2], 2) }
    return modelOf('float32', [1, 5, 5], constants, [
      node('Conv', ['x', weight, bias], 'c'),
      node('Flatten', ['c'], 'y'),
    ])
  }
  const codes = async (model: ReturnType<typeof conv>): Promise<string[]> =>
    (await inspectModel(model, options, ortRunner)).faults.map(({ code }) => code)
  assert.deepEqual(await codes(conv('conv1.weight', 'conv1.bias')), [])
  assert.deepEqual(await codes(conv('onnx::Conv_44', 'onnx::Conv_45')), ['FUSED_BATCH_NORM'])
  assert.deepEqual(await codes(conv('model/conv2d/Conv2D_weights_fused_bn', 'model/conv2d/Conv2D_bias_fused_bn')), [
    'FUSED_BATCH_NORM',
  ])
  assert.deepEqual(await codes(conv('f/conv_1/convolution/merged_input:0', 'bias')), ['FUSED_BATCH_NORM'])
  const traced = conv('conv.weight', 'conv.bias')
  const namespace = ': Net/bn: torch.nn.modules.batchnorm.BatchNorm2d/_native_batch_norm_legit_no_training'
  graphOf(traced).node[0]?.metadataProps.push(
    create(StringStringEntryProtoSchema, { key: 'namespace', value: namespace }),
  )
  assert.deepEqual(await codes(traced), ['FUSED_BATCH_NORM'])
  assert.deepEqual(await codes(conv('12', '13')), ['RENAMED_WEIGHTS'])
  const matrix = modelOf('float32', [4], { 'onnx::MatMul_21': float([4, 3], 1), 'head.bias': float([3], 2) }, [
    node('MatMul', ['x', 'onnx::MatMul_21'], 'm'),
    node('Add', ['m', 'head.bias'], 'y'),
  ])
  assert.deepEqual(await codes(matrix), ['FOLDED_WEIGHTS'])
})
