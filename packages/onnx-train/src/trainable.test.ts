import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileTraining } from './compile-training.ts'
import { extractWeights } from './extract-weights.ts'
import { parametersOf } from './parameters.ts'
import type { Tensor } from './tensor.ts'
import { modelOf, node, randomTensor } from './testing/model-of.ts'
import { ortRunner } from './testing/ort-runner.ts'
import { runCompiled } from './testing/run-compiled.ts'
import { chosenParameters } from './trainable.ts'
import { withoutWeights } from './without-weights.ts'

const float = (shape: number[], seed: number): Tensor => randomTensor('float32', shape, seed)

const network = () =>
  modelOf(
    'float32',
    [4],
    { 'body.w': float([4, 6], 1), 'body.b': float([6], 2), 'head.w': float([6, 3], 3), 'head.b': float([3], 4) },
    [
      node('Gemm', ['x', 'body.w', 'body.b'], 'h'),
      node('Relu', ['h'], 'r'),
      node('Gemm', ['r', 'head.w', 'head.b'], 'y'),
    ],
  )

test('a list or a pattern says what trains; the rest is frozen and is no output', async () => {
  const options = { loss: 'softmax-cross-entropy', optimizer: 'adam', form: 'loop' } as const
  for (const trainable of [{ only: ['head.*'] }, { except: ['body.w', '*dy.b'] }]) {
    const compiled = await compileTraining(network(), { ...options, trainable }, ortRunner)
    const named = (list: readonly { name: string }[]): string[] => list.map(({ name }) => name)
    assert.deepEqual(named(compiled.parameters), ['head.w', 'head.b'])
    assert.deepEqual(named(compiled.frozen), ['body.w', 'body.b'])
    const roles = compiled.outputs.map(({ role, parameter }) => [role, parameter])
    assert.deepEqual(roles, [
      ['parameter', 'head.w'],
      ['parameter', 'head.b'],
      ['state', undefined],
      ['state', 'head.w'],
      ['state', 'head.w'],
      ['state', 'head.b'],
      ['state', 'head.b'],
      ['losses', undefined],
    ])
  }
})

test('what trains moves as it does when everything trains, for one step', async () => {
  const options = { loss: 'softmax-cross-entropy', optimizer: 'sgd', form: 'step' } as const
  const whole = await compileTraining(network(), options, ortRunner)
  const head = await compileTraining(network(), { ...options, trainable: { only: ['head.*'] } }, ortRunner)
  const parameters = Object.fromEntries(
    [float([4, 6], 1), float([6], 2), float([6, 3], 3), float([3], 4)].map(({ data }, index) => [
      ['body.w', 'body.b', 'head.w', 'head.b'][index],
      data,
    ]),
  )
  const given = { parameters, features: float([2, 4], 5).data, labels: Int32Array.of(0, 2), learningRate: 0.1 }
  const [all, some] = [await runCompiled(whole, given), await runCompiled(head, given)]
  assert.deepEqual(some.parameters['head.w'], all.parameters['head.w'])
  assert.deepEqual(Object.keys(some.parameters), ['head.w', 'head.b'])
})

test('a pattern matches its parts in order and nothing else', () => {
  const parameters = ['a.b.c', 'a.c', 'ab'].map(name => ({ name, dtype: 'float32' as const, shape: [1] }))
  const chosen = (...only: string[]): string[] => [...chosenParameters(parameters, { only })]
  assert.deepEqual(chosen('a.*c'), ['a.b.c', 'a.c'])
  assert.deepEqual(chosen('*b*'), ['a.b.c', 'ab'])
  assert.deepEqual(chosen('a*b'), ['ab'])
  assert.throws(() => chosen('a*b*b'), { code: 'OPTIONS_INVALID' })
  assert.throws(() => chosen('ab.*.ab'), { code: 'OPTIONS_INVALID' })
  assert.throws(() => chosenParameters(parameters, { except: ['*'] }), { code: 'OPTIONS_INVALID' })
})

test('settings of operators and constants of formulas are no parameters, running statistics are buffers', () => {
  const constants = {
    w: float([4, 6], 1),
    scale: float([6], 2),
    shift: float([6], 3),
    mean: float([6], 4),
    variance: float([6], 5),
    half: float([1], 6),
    bias: float([1], 7),
  }
  const model = modelOf('float32', [4], constants, [
    node('MatMul', ['x', 'w'], 'm'),
    node('BatchNormalization', ['m', 'scale', 'shift', 'mean', 'variance'], 'n'),
    node('Mul', ['n', 'half'], 'h'),
    node('Add', ['h', 'bias'], 'y'),
  ])
  assert.deepEqual(
    extractWeights(model).tensors.flatMap(({ name, buffer }) => (buffer === true ? [name] : [])),
    ['mean', 'variance'],
  )
  for (const form of [model, withoutWeights(model)]) {
    assert.deepEqual(
      parametersOf(form).map(({ name, buffer }) => (buffer === true ? `${name} carried` : name)),
      ['w', 'scale', 'shift', 'mean carried', 'variance carried', 'bias'],
    )
  }
})
