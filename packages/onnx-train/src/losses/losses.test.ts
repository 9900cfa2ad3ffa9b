import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileEvaluation } from '../compile-evaluation.ts'
import { compileTraining, type TrainingOptions } from '../compile-training.ts'
import { graphFromProto } from '../graph-from-proto.ts'
import { graphOf } from '../parameters.ts'
import { readModel } from '../read-model.ts'
import type { Tensor, TensorData } from '../tensor.ts'
import { modelOf, node, randomTensor } from '../testing/model-of.ts'
import { ortRunner } from '../testing/ort-runner.ts'
import { runCompiled } from '../testing/run-compiled.ts'
import type { LossOptions } from './loss.ts'

const examples = 5
const inputs = 3

/** Loss of one position as its textbook says, from the row of outputs (scores of classes, or one number). */
type Definition = (row: readonly number[], label: number) => number

const logSumExp = (row: readonly number[]): number => Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0))
const crossEntropy: Definition = (row, label) => logSumExp(row) - (row[label] ?? 0)
const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z))

type Case = {
  readonly name: string
  readonly loss: LossOptions
  readonly definition: Definition
  readonly labels: Int32Array | Float64Array
  /** Outputs of one example, and over how many of them one loss term runs. */
  readonly outputs: number
  readonly width: number
  /** Turns the product x·W into the shape of the output. */
  readonly tail?: { nodes: Parameters<typeof modelOf>[3]; constants?: Record<string, Tensor> }
}

const int64s = (...values: number[]): Tensor => ({
  dtype: 'int64',
  shape: [values.length],
  data: BigInt64Array.from(values, BigInt),
})
const classes = { labels: Int32Array.of(0, 3, 1, 2, 3), outputs: 4, width: 4 }
const reals = {
  labels: Float64Array.from(randomTensor('float64', [examples * 2], 9).data as Float64Array),
  outputs: 2,
  width: 1,
}
const tokens = {
  labels: Int32Array.of(0, 1, 2, 2, 1, 0, 1, 1, 0, 2),
  outputs: 6,
  width: 3,
  tail: { nodes: [node('Reshape', ['m', 'shape'], 'y')], constants: { shape: int64s(-1, 2, 3) } },
}

const cases: Case[] = [
  { name: 'softmax cross-entropy', loss: { kind: 'softmax-cross-entropy' }, definition: crossEntropy, ...classes },
  {
    name: 'softmax cross-entropy after a final Softmax',
    loss: { kind: 'softmax-cross-entropy' },
    definition: crossEntropy,
    ...classes,
    tail: { nodes: [node('Softmax', ['m'], 'p', { axis: { int: -1 } }), node('Identity', ['p'], 'y')] },
  },
  {
    name: 'label smoothing',
    loss: { kind: 'softmax-cross-entropy', labelSmoothing: 0.2 },
    // (1 − ε)·CE(label) + ε·mean of CE over all classes.
    definition: (row, label) =>
      0.8 * crossEntropy(row, label) + (0.2 / row.length) * row.reduce((sum, z) => sum + logSumExp(row) - z, 0),
    ...classes,
  },
  {
    name: 'cross-entropy of every token',
    loss: { kind: 'softmax-cross-entropy' },
    definition: crossEntropy,
    ...tokens,
  },
  {
    name: 'negative log likelihood after a final LogSoftmax',
    loss: { kind: 'negative-log-likelihood' },
    definition: crossEntropy,
    ...classes,
    tail: { nodes: [node('LogSoftmax', ['m'], 'y', { axis: { int: 1 } })] },
  },
  {
    name: 'negative log likelihood of what the model gives',
    loss: { kind: 'negative-log-likelihood' },
    definition: (row, label) => -(row[label] ?? 0),
    ...classes,
  },
  {
    name: 'binary cross-entropy of logits',
    loss: { kind: 'sigmoid-binary-cross-entropy' },
    definition: ([z = 0], y) => -y * Math.log(sigmoid(z)) - (1 - y) * Math.log(1 - sigmoid(z)),
    labels: Float64Array.of(1, 0, 0.25, 1, 1, 0, 0, 0, 1, 1),
    outputs: 2,
    width: 1,
    tail: { nodes: [node('Sigmoid', ['m'], 'y')] },
  },
  {
    name: 'mean squared error',
    loss: { kind: 'mean-squared-error' },
    definition: ([y = 0], t) => (y - t) ** 2,
    ...reals,
  },
  {
    name: 'mean absolute error',
    loss: { kind: 'mean-absolute-error' },
    definition: ([y = 0], t) => Math.abs(y - t),
    ...reals,
  },
  {
    name: 'Huber',
    loss: { kind: 'huber', delta: 0.4 },
    definition: ([y = 0], t) => (Math.abs(y - t) <= 0.4 ? 0.5 * (y - t) ** 2 : 0.4 * (Math.abs(y - t) - 0.2)),
    ...reals,
  },
]

const x = randomTensor('float64', [examples, inputs], 1).data as Float64Array

const modelFor = ({ outputs, tail }: Case) => {
  const w = randomTensor('float64', [inputs, outputs], 2)
  const nodes =
    tail === undefined ? [node('MatMul', ['x', 'w'], 'y')] : [node('MatMul', ['x', 'w'], 'm'), ...tail.nodes]
  return { w, model: modelOf('float64', [inputs], { w, ...tail?.constants }, nodes) }
}

/** Σ weight·loss / Σ weight over all positions, from x·W written out. */
const meanLoss = (each: Case, w: Float64Array, weightOf: (example: number, position: number) => number): number => {
  const { outputs, width, definition, labels } = each
  let [sum, total] = [0, 0]
  for (let example = 0; example < examples; example++) {
    for (let position = 0; position < outputs / width; position++) {
      const row = Array.from({ length: width }, (_, index) => {
        let output = 0
        for (let k = 0; k < inputs; k++) {
          output += (x[example * inputs + k] ?? 0) * (w[k * outputs + position * width + index] ?? 0)
        }
        return output
      })
      const weight = weightOf(example, position)
      sum += weight * (weight === 0 ? 0 : definition(row, labels[(example * outputs) / width + position] ?? 0))
      total += weight
    }
  }
  return sum / total
}

const agrees = async (
  each: Case,
  options: Partial<TrainingOptions>,
  weightOf: (example: number, position: number) => number,
  sampleWeights?: TensorData,
): Promise<void> => {
  const { w, model } = modelFor(each)
  const compiled = await compileTraining(
    model,
    { loss: each.loss, optimizer: 'sgd', form: 'step', ...options },
    ortRunner,
  )
  const start = w.data as Float64Array
  const { parameters, losses } = await runCompiled(compiled, {
    parameters: { w: start },
    features: x,
    labels: each.labels,
    learningRate: 1,
    ...(sampleWeights === undefined ? {} : { sampleWeights }),
  })
  assert.ok(Math.abs((losses[0] ?? 0) - meanLoss(each, start, weightOf)) < 1e-12, `loss ${losses[0]}`)
  const moved = parameters.w as Float64Array
  for (const [index, value] of start.entries()) {
    const at = (changed: number): number => meanLoss(each, start.with(index, changed), weightOf)
    const expected = (at(value + 1e-6) - at(value - 1e-6)) / 2e-6
    assert.ok(Math.abs(value - (moved[index] ?? 0) - expected) < 1e-8, `gradient ${index}: ${expected}`)
  }
}

for (const each of cases) {
  test(`loss and gradient are those of the definition: ${each.name}`, async () => {
    await agrees(each, {}, () => 1)
    const weights = Float64Array.of(1, 0.5, 0, 3, 2)
    await agrees(each, { sampleWeights: true }, example => weights[example] ?? 0, weights)
  })
}

test('ignored labels count neither in the loss nor in what it is divided by', async () => {
  for (const ignoreIndex of [-100, 1]) {
    const labels = tokens.labels.map((label, index) => (index % 4 === 1 ? ignoreIndex : label))
    for (const kind of ['softmax-cross-entropy', 'negative-log-likelihood'] as const) {
      const definition: Definition =
        kind === 'softmax-cross-entropy' ? crossEntropy : (row, label) => -(row[label] ?? 0)
      const each: Case = { ...tokens, name: kind, loss: { kind, ignoreIndex }, definition, labels }
      const counts = (example: number, position: number): number =>
        labels[example * 2 + position] === ignoreIndex ? 0 : 1
      await agrees(each, {}, counts)
      const weights = Float64Array.of(1, 0.5, 0, 3, 2)
      await agrees(each, { sampleWeights: true }, (n, t) => counts(n, t) * (weights[n] ?? 0), weights)
    }
  }
})

test('a batch in which nothing counts has no loss and moves nothing', async () => {
  const { w, model } = modelFor(cases[0] as Case)
  const loss = { kind: 'softmax-cross-entropy', ignoreIndex: -1 } as const
  const compiled = await compileTraining(model, { loss, optimizer: 'sgd', form: 'step' }, ortRunner)
  const { parameters, losses } = await runCompiled(compiled, {
    parameters: { w: w.data },
    features: x,
    labels: new Int32Array(examples).fill(-1),
    learningRate: 1,
  })
  assert.deepEqual([losses, parameters.w], [[0], w.data])
})

test('classes may be on another axis', async () => {
  // [batch, classes, positions]: the transpose of the token case has the same loss and gradient.
  const each = cases.find(({ name }) => name === 'cross-entropy of every token') as Case
  const nodes = [node('Reshape', ['m', 'shape'], 't'), node('Transpose', ['t'], 'y', { perm: { ints: [0, 2, 1] } })]
  const w = randomTensor('float64', [inputs, 6], 2)
  const model = modelOf('float64', [inputs], { w, shape: int64s(-1, 2, 3) }, [
    node('MatMul', ['x', 'w'], 'm'),
    ...nodes,
  ])
  const compiled = await compileEvaluation(model, ortRunner, { loss: { kind: 'softmax-cross-entropy', classAxis: 1 } })
  const feeds = new Map<string, Tensor>([
    ['w', w],
    [compiled.features, { dtype: 'float64', shape: [examples, inputs], data: x }],
    [compiled.labels, { dtype: 'int32', shape: [examples, 2], data: each.labels }],
  ])
  const results = await ortRunner(compiled.model, feeds, [compiled.losses])
  const losses = results.get(compiled.losses)?.data as Float64Array
  const expected = meanLoss(each, w.data as Float64Array, () => 1)
  assert.ok(Math.abs(losses.reduce((sum, loss) => sum + loss, 0) / examples - expected) < 1e-12)
})

test('large logits overflow neither loss nor gradient', async () => {
  const w: Tensor = { dtype: 'float32', shape: [1, 2], data: Float32Array.of(500, -500) }
  const model = modelOf('float32', [1], { w }, [node('MatMul', ['x', 'w'], 'z'), node('Sigmoid', ['z'], 'y')])
  const options = { loss: 'sigmoid-binary-cross-entropy', optimizer: 'sgd', form: 'step' } as const
  const compiled = await compileTraining(model, options, ortRunner)
  const { parameters, losses } = await runCompiled(compiled, {
    parameters: { w: w.data },
    features: Float32Array.of(1),
    labels: Float32Array.of(0, 1),
    learningRate: 2,
  })
  // Both are wrong by 500; the gradients of the mean are ½·(1, −1).
  assert.deepEqual([losses, parameters.w], [[500], Float32Array.of(499, -499)])
})

test('a folded activation is not computed in training', async () => {
  const { model } = modelFor(cases.find(({ name }) => name === 'binary cross-entropy of logits') as Case)
  const options = { loss: 'sigmoid-binary-cross-entropy', optimizer: 'sgd', form: 'step' } as const
  const compiled = await compileTraining(model, options, ortRunner)
  const { nodes } = graphFromProto(graphOf(readModel(compiled.model, { maxBytes: 1e6 })))
  // One Sigmoid, that of the gradient.
  assert.equal(nodes.filter(({ op }) => op === 'Sigmoid').length, 1)
})

test('settings and outputs that make no sense are refused', async () => {
  const { model } = modelFor(cases[0] as Case)
  const refuses = (loss: LossOptions, code: string, of = model): Promise<void> =>
    assert.rejects(compileTraining(of, { loss, optimizer: 'sgd', form: 'step' }, ortRunner), { code })
  await refuses({ kind: 'softmax-cross-entropy', labelSmoothing: 1 }, 'OPTIONS_INVALID')
  await refuses({ kind: 'softmax-cross-entropy', ignoreIndex: 0.5 }, 'OPTIONS_INVALID')
  await refuses({ kind: 'huber', delta: 0 }, 'OPTIONS_INVALID')
  await refuses({ kind: 'softmax-cross-entropy', classAxis: 2 }, 'OUTPUTS_UNSUPPORTED')
  const softmax = [node('MatMul', ['x', 'w'], 'm'), node('Reshape', ['m', 'shape'], 'r')]
  const tokenwise = modelOf('float64', [3], { w: randomTensor('float64', [3, 6], 1), shape: int64s(-1, 2, 3) }, [
    ...softmax,
    node('Softmax', ['r'], 'y', { axis: { int: 1 } }),
  ])
  await refuses({ kind: 'softmax-cross-entropy' }, 'OUTPUTS_UNSUPPORTED', tokenwise)
})

test('a class that is impossible, of score −∞, leaves the loss finite', async () => {
  const zero: Tensor = { dtype: 'float64', shape: [3], data: new Float64Array(3) }
  const model = modelOf('float64', [3], { w: zero }, [node('Add', ['x', 'w'], 'y')])
  const given = {
    parameters: { w: zero.data },
    features: Float64Array.of(1, Number.NEGATIVE_INFINITY, -0.5),
    labels: Int32Array.of(0),
    learningRate: 1,
  }
  const train = async (loss: LossOptions) =>
    runCompiled(await compileTraining(model, { loss, optimizer: 'sgd', form: 'step' }, ortRunner), given)
  // Softmax over the two possible classes.
  const p = 1 / (1 + Math.exp(-1.5))
  const { losses, parameters } = await train({ kind: 'softmax-cross-entropy' })
  assert.ok(Math.abs((losses[0] ?? 0) + Math.log(p)) < 1e-12)
  const expected = [1 - p, 0, p - 1]
  expected.forEach((value, index) => {
    assert.ok(Math.abs(Number(parameters.w?.[index]) - value) < 1e-12)
  })
  assert.deepEqual((await train({ kind: 'negative-log-likelihood' })).losses, [-1])
})
