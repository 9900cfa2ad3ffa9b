import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileTraining } from '../compile-training.ts'
import type { Tensor } from '../tensor.ts'
import { modelOf, node, randomTensor } from '../testing/model-of.ts'
import { ortRunner } from '../testing/ort-runner.ts'

const constants = {
  w: randomTensor('float64', [3, 2], 1),
  scale: randomTensor('float64', [3], 2),
  bias: randomTensor('float64', [3], 3),
  mean: randomTensor('float64', [3], 4),
  variance: { dtype: 'float64' as const, shape: [3], data: Float64Array.of(0.5, 1, 2) },
}
const model = () =>
  modelOf('float64', [3], constants, [
    node('BatchNormalization', ['x', 'scale', 'bias', 'mean', 'variance'], ['n', 'm', 'v'], {
      training_mode: { int: 1 },
      momentum: { float: 0.75 },
    }),
    node('MatMul', ['n', 'w'], 'y'),
  ])

const at = (list: Float64Array | undefined, index: number): number => list?.[index] ?? 0

const step = async (except: readonly string[]): Promise<Map<string, Tensor>> => {
  const options = { loss: 'softmax-cross-entropy', optimizer: 'sgd', form: 'step', trainable: { except } } as const
  const compiled = await compileTraining(model(), options, ortRunner)
  const x = randomTensor('float64', [4, 3], 9)
  const feeds = new Map<string, Tensor>([
    [compiled.features, x],
    [compiled.labels, { dtype: 'int32', shape: [4], data: Int32Array.of(0, 1, 1, 0) }],
    [compiled.learningRate, { dtype: 'float64', shape: [], data: Float64Array.of(0.5) }],
  ])
  for (const { name, input } of [...compiled.parameters, ...compiled.frozen]) {
    feeds.set(input, constants[name as keyof typeof constants])
  }
  const results = await ortRunner(
    compiled.model,
    feeds,
    compiled.parameters.map(({ output }) => output),
  )
  return new Map(compiled.parameters.map(({ name, output }) => [name, results.get(output) as Tensor]))
}

test('a step in training mode moves running statistics towards those of its batch', async () => {
  const updated = await step([])
  const x = randomTensor('float64', [4, 3], 9).data as Float64Array
  for (const channel of [0, 1, 2]) {
    const column = [0, 1, 2, 3].map(row => x[row * 3 + channel] ?? 0)
    const mean = column.reduce((sum, value) => sum + value, 0) / 4
    // Of the population: divided by n − 1 = 3.
    const variance = column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 3
    const near = (name: 'mean' | 'variance', latest: number): void => {
      const expected = 0.75 * at(constants[name].data as Float64Array, channel) + 0.25 * latest
      const found = at(updated.get(name)?.data as Float64Array, channel)
      assert.ok(Math.abs(found - expected) < 1e-12, `${name} ${found} ${expected}`)
    }
    near('mean', mean)
    near('variance', variance)
  }
})

test('a BatchNormalization whose statistics are frozen normalises with them', async () => {
  const updated = await step(['mean', 'variance', 'scale', 'bias'])
  assert.deepEqual([...updated.keys()], ['w'])
  // The gradient of w, by hand: logits from frozen statistics, then softmax.
  const [x, w, scale, bias, mean, variance] = [
    randomTensor('float64', [4, 3], 9),
    ...(['w', 'scale', 'bias', 'mean', 'variance'] as const).map(name => constants[name]),
  ].map(tensor => tensor?.data as Float64Array) as Float64Array[] as [Float64Array, ...Float64Array[]]
  const gradient = new Float64Array(6)
  for (const [row, label] of [0, 1, 1, 0].entries()) {
    const inputs = [0, 1, 2].map(
      c =>
        ((at(x, row * 3 + c) - at(mean, c)) / Math.sqrt(at(variance, c) + Math.fround(1e-5))) * at(scale, c) +
        at(bias, c),
    )
    const logits = [0, 1].map(k => inputs.reduce((sum, value, c) => sum + value * at(w, c * 2 + k), 0))
    const total = logits.reduce((sum, value) => sum + Math.exp(value), 0)
    for (const [k, logit] of logits.entries()) {
      const slope = (Math.exp(logit) / total - (k === label ? 1 : 0)) / 4
      for (const [c, value] of inputs.entries()) gradient[c * 2 + k] = at(gradient, c * 2 + k) + slope * value
    }
  }
  const found = updated.get('w')?.data as Float64Array
  for (const index of gradient.keys()) {
    assert.ok(Math.abs(at(found, index) - (at(w, index) - 0.5 * at(gradient, index))) < 1e-6)
  }
})
