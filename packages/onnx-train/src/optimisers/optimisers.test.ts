import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { type CompiledTraining, compileTraining, type TrainingOptions } from '../compile-training.ts'
import { graphFromProto } from '../graph-from-proto.ts'
import { mcmahanCnn } from '../models/mcmahan.ts'
import { graphOf } from '../parameters.ts'
import { readModel } from '../read-model.ts'
import { type TensorData, tensorBytes } from '../tensor.ts'
import { startValues } from '../testing/gradients.ts'
import { loadMnist } from '../testing/mnist.ts'
import { modelOf, node, randomTensor } from '../testing/model-of.ts'
import { ortRunner } from '../testing/ort-runner.ts'
import { runCompiled } from '../testing/run-compiled.ts'
import type { OptimizerOptions } from './optimiser.ts'

const [inputs, outputs, batch, steps] = [4, 3, 5, 40] as const
const eta = 0.05
const random = (shape: number[], seed: number): Float64Array =>
  randomTensor('float64', shape, seed).data as Float64Array

const x = random([batch * steps, inputs], 1)
const t = random([batch * steps, outputs], 2).map(value => value * 3)
const start = { w: random([inputs, outputs], 3), b: random([outputs], 4) }
const corrections = { w: random([inputs, outputs], 5), b: random([outputs], 6) }
const anchors = { w: random([inputs, outputs], 7), b: random([outputs], 8) }

/** One flat vector of w and b, which every formula below treats alike. */
const flat = ({ w, b }: { w: TensorData; b: TensorData }): Float64Array => Float64Array.from([...w, ...b].map(Number))
const theta0 = flat(start)

/** Gradient of mean((x·w + b − t)²) over the batch of a step, written out. */
const gradientAt = (theta: Float64Array, step: number): Float64Array => {
  const gradient = new Float64Array(theta.length)
  for (let n = step * batch; n < (step + 1) * batch; n++) {
    for (let j = 0; j < outputs; j++) {
      let y = theta[inputs * outputs + j] ?? 0
      for (let i = 0; i < inputs; i++) y += (x[n * inputs + i] ?? 0) * (theta[i * outputs + j] ?? 0)
      const slope = (2 * (y - (t[n * outputs + j] ?? 0))) / (batch * outputs)
      for (let i = 0; i < inputs; i++) {
        gradient[i * outputs + j] = (gradient[i * outputs + j] ?? 0) + slope * (x[n * inputs + i] ?? 0)
      }
      gradient[inputs * outputs + j] = (gradient[inputs * outputs + j] ?? 0) + slope
    }
  }
  return gradient
}

/** A step in doubles as the papers and torch.optim write it. */
type Rule = (theta: Float64Array, gradient: Float64Array, step: number) => Float64Array

const plain: Rule = (theta, g) => theta.map((value, i) => value - eta * (g[i] ?? 0))

const momentumRule = (mu: number, nesterov: boolean): Rule => {
  const v = new Float64Array(theta0.length)
  return (theta, g) => {
    g.forEach((value, i) => {
      v[i] = mu * (v[i] ?? 0) + value
    })
    return theta.map((value, i) => value - eta * (nesterov ? (g[i] ?? 0) + mu * (v[i] ?? 0) : (v[i] ?? 0)))
  }
}

const adamRule = (beta1: number, beta2: number, epsilon: number, decoupled: number): Rule => {
  const [m, v] = [new Float64Array(theta0.length), new Float64Array(theta0.length)]
  return (theta, g, step) => {
    g.forEach((value, i) => {
      m[i] = beta1 * (m[i] ?? 0) + (1 - beta1) * value
      v[i] = beta2 * (v[i] ?? 0) + (1 - beta2) * value ** 2
    })
    const [c1, c2] = [1 - beta1 ** (step + 1), 1 - beta2 ** (step + 1)]
    return theta.map((value, i) => {
      const [mean, square] = [(m[i] ?? 0) / c1, (v[i] ?? 0) / c2]
      return value * (1 - eta * decoupled) - (eta * mean) / (Math.sqrt(square) + epsilon)
    })
  }
}

type Case = {
  readonly name: string
  readonly optimizer: OptimizerOptions
  readonly rule: () => Rule
  readonly options?: Partial<TrainingOptions>
  /** What is done to the gradient first. */
  readonly change?: (gradient: Float64Array, theta: Float64Array) => Float64Array
}

const add = (a: Float64Array, b: Float64Array, factor = 1): Float64Array =>
  a.map((value, i) => value + factor * (b[i] ?? 0))
const decay = (lambda: number) => (g: Float64Array, theta: Float64Array) => add(g, theta, lambda)
const proximal = (mu: number) => (g: Float64Array, theta: Float64Array) => add(g, add(theta, flat(anchors), -1), mu)
const clipTo = (norm: number) => (g: Float64Array) => {
  const factor = Math.min(1, norm / (Math.hypot(...g) + 1e-6))
  return g.map(value => value * factor)
}

const cases: Case[] = [
  { name: 'SGD', optimizer: { kind: 'sgd' }, rule: () => plain },
  {
    name: 'SGD with weight decay',
    optimizer: { kind: 'sgd', weightDecay: 0.3 },
    rule: () => plain,
    change: decay(0.3),
  },
  { name: 'momentum', optimizer: { kind: 'momentum' }, rule: () => momentumRule(0.9, false) },
  {
    name: 'momentum with weight decay',
    optimizer: { kind: 'momentum', momentum: 0.5, weightDecay: 0.1 },
    rule: () => momentumRule(0.5, false),
    change: decay(0.1),
  },
  { name: 'Nesterov', optimizer: { kind: 'nesterov', momentum: 0.8 }, rule: () => momentumRule(0.8, true) },
  { name: 'Adam', optimizer: { kind: 'adam' }, rule: () => adamRule(0.9, 0.999, 1e-8, 0) },
  {
    name: 'Adam with other settings and weight decay in the gradient',
    optimizer: { kind: 'adam', beta1: 0.7, beta2: 0.95, epsilon: 1e-3, weightDecay: 0.2 },
    rule: () => adamRule(0.7, 0.95, 1e-3, 0),
    change: decay(0.2),
  },
  { name: 'AdamW', optimizer: { kind: 'adamw' }, rule: () => adamRule(0.9, 0.999, 1e-8, 0.01) },
  {
    name: 'SGD, clipped',
    optimizer: { kind: 'sgd' },
    options: { clippingNorm: 0.7 },
    rule: () => plain,
    change: clipTo(0.7),
  },
  {
    name: 'AdamW, clipped',
    optimizer: { kind: 'adamw', weightDecay: 0.5 },
    options: { clippingNorm: 0.7 },
    rule: () => adamRule(0.9, 0.999, 1e-8, 0.5),
    change: clipTo(0.7),
  },
  {
    name: 'a norm that is never reached',
    optimizer: { kind: 'momentum' },
    options: { clippingNorm: 1e4 },
    rule: () => momentumRule(0.9, false),
  },
  {
    name: 'SGD with the proximal term of FedProx',
    optimizer: { kind: 'sgd' },
    options: { proximal: 0.4 },
    rule: () => plain,
    change: proximal(0.4),
  },
  {
    name: 'SGD with the correction of SCAFFOLD',
    optimizer: { kind: 'sgd' },
    options: { correction: true },
    rule: () => plain,
    change: g => add(g, flat(corrections)),
  },
  {
    name: 'Adam with decay, proximal term, correction and clipping together',
    optimizer: { kind: 'adam', weightDecay: 0.2 },
    options: { proximal: 0.4, correction: true, clippingNorm: 0.7 },
    rule: () => adamRule(0.9, 0.999, 1e-8, 0),
    change: (g, theta) => add(decay(0.2)(proximal(0.4)(clipTo(0.7)(g), theta), theta), flat(corrections)),
  },
]

const modelIn = (dtype: 'float32' | 'float64') => {
  const tensor = (data: Float64Array, shape: number[]) => ({
    dtype,
    shape,
    data: dtype === 'float64' ? data : Float32Array.from(data),
  })
  const constants = { w: tensor(start.w, [inputs, outputs]), b: tensor(start.b, [outputs]) }
  return modelOf(dtype, [inputs], constants, [node('Gemm', ['x', 'w', 'b'], 'y')])
}

const compile = ({ optimizer, options }: Case, dtype: 'float32' | 'float64', form: 'step' | 'loop') =>
  compileTraining(modelIn(dtype), { loss: 'mean-squared-error', optimizer, form, ...options }, ortRunner)

/** All steps in one run, or those from `from` to `to`. */
const run = async (
  compiled: CompiledTraining,
  given: {
    parameters?: Record<string, TensorData>
    state?: Record<string, TensorData>
    from?: number
    to?: number
  } = {},
) => {
  const cast = (data: Float64Array): TensorData => (compiled.dtype === 'float64' ? data : Float32Array.from(data))
  const all = (values: { w: Float64Array; b: Float64Array }) => ({ w: cast(values.w), b: cast(values.b) })
  const { from = 0, to = steps } = given
  const looped = compiled.order !== undefined
  const rows = Int32Array.from({ length: (to - from) * batch }, (_, row) => from * batch + row)
  const part = (data: Float64Array, width: number): TensorData =>
    cast(looped ? data : data.subarray(from * batch * width, to * batch * width))
  return runCompiled(compiled, {
    parameters: given.parameters ?? all(start),
    anchors: all(anchors),
    corrections: all(corrections),
    features: part(x, inputs),
    labels: part(t, outputs),
    learningRate: eta,
    ...(given.state === undefined ? {} : { state: given.state }),
    ...(looped ? { order: { steps: to - from, rows } } : {}),
  })
}

const expectedAfter = ({ rule, change = g => g }: Case): Float64Array => {
  const update = rule()
  let theta = theta0
  for (let step = 0; step < steps; step++) theta = update(theta, change(gradientAt(theta, step), theta), step)
  return theta
}

const largestError = (actual: Float64Array, expected: Float64Array): number =>
  Math.max(...actual.map((value, i) => Math.abs(value - (expected[i] ?? 0))))

for (const each of cases) {
  test(`${steps} steps are those of the formulas in doubles: ${each.name}`, async () => {
    const expected = expectedAfter(each)
    const double = await run(await compile(each, 'float64', 'loop'))
    const error = largestError(flat(double.parameters as typeof start), expected)
    assert.ok(error < 1e-11, `float64: ${error}`)
    const single = await run(await compile(each, 'float32', 'loop'))
    const rounded = largestError(flat(single.parameters as typeof start), expected)
    assert.ok(rounded < 2e-5, `float32: ${rounded}`)
  })

  test(`a loop equals single steps and two loops, state handed on, bit for bit: ${each.name}`, async () => {
    const loop = await compile(each, 'float32', 'loop')
    const step = await compile(each, 'float32', 'step')
    const whole = await run(loop, { to: 6 })
    let single = await run(step, { to: 1 })
    const losses = [...single.losses]
    for (let from = 1; from < 6; from++) {
      single = await run(step, { ...single, state: single.state, from, to: from + 1 })
      losses.push(...single.losses)
    }
    assert.deepEqual([whole.parameters, whole.losses], [single.parameters, losses])
    const first = await run(loop, { to: 2 })
    // Names of the state differ between the forms, and agree between runs of one.
    const second = await run(loop, { ...first, from: 2, to: 6 })
    assert.deepEqual([second.parameters, second.state], [whole.parameters, whole.state])
  })
}

test('the bias correction of Adam keeps its digits over many steps in float32', async () => {
  // With a constant gradient every step of Adam is η, up to ε, however many there were.
  const w = { dtype: 'float32' as const, shape: [1, 1], data: Float32Array.of(1) }
  const model = modelOf('float32', [1], { w }, [node('MatMul', ['x', 'w'], 'y')])
  const options = { loss: 'mean-absolute-error', optimizer: 'adam', form: 'loop' } as const
  const compiled = await compileTraining(model, options, ortRunner)
  const { parameters } = await runCompiled(compiled, {
    parameters: { w: w.data },
    features: Float32Array.of(1),
    labels: Float32Array.of(-1e6),
    learningRate: 2 ** -14,
    order: { steps: 5000, rows: new Int32Array(5000) },
  })
  const moved = 1 - Number(parameters.w?.[0])
  assert.ok(Math.abs(moved / (5000 * 2 ** -14) - 1) < 2e-5, `${moved}`)
})

test('the decay of a momentum is part of the gradient product', async () => {
  const compiled = await compile(cases.find(({ name }) => name === 'momentum') as Case, 'float32', 'step')
  const { nodes } = graphFromProto(graphOf(readModel(compiled.model, { maxBytes: 1e6 })))
  const update = nodes.find(({ op, inputs: read }) => op === 'Gemm' && read[2] === 'w.velocity')
  assert.ok(update !== undefined)
})

test('the same inputs give the same bytes on one thread and on two', async () => {
  const model = readModel(mcmahanCnn(1), { maxBytes: 1e8 })
  const data = loadMnist('train', 30)
  const start = Object.fromEntries([...startValues(model)].map(([name, tensor]) => [name, tensor.data]))
  for (const optimizer of ['sgd', 'adamw'] as const) {
    const options = { loss: 'softmax-cross-entropy', optimizer, form: 'loop', clippingNorm: 1, proximal: 0.1 } as const
    const compiled = await compileTraining(model, options, ortRunner)
    const digests = new Set<string>()
    for (const threads of [1, 2]) {
      const rows = Int32Array.from({ length: 30 }, (_, row) => row)
      const given = { features: data.images, labels: data.labels, learningRate: 0.01, order: { steps: 3, rows } }
      const { parameters } = await runCompiled(compiled, { ...given, parameters: start, anchors: start }, threads)
      const bytes = Object.values(parameters).map(values => tensorBytes({ dtype: 'float32', shape: [], data: values }))
      digests.add(hash('sha256', Buffer.concat(bytes)))
    }
    assert.equal(digests.size, 1, optimizer)
  }
})

test('a padded batch with weights of zero is the smaller batch', async () => {
  const each: Case = {
    name: 'padded',
    optimizer: { kind: 'adam' },
    rule: () => plain,
    options: { sampleWeights: true },
  }
  const padded = await compile(each, 'float64', 'step')
  const exact = await compile({ ...each, options: {} }, 'float64', 'step')
  const given = { parameters: start, learningRate: eta }
  const small = await runCompiled(exact, {
    ...given,
    features: x.subarray(0, 3 * inputs),
    labels: t.subarray(0, 3 * outputs),
  })
  const large = await runCompiled(padded, {
    ...given,
    features: x.subarray(0, 5 * inputs),
    labels: t.subarray(0, 5 * outputs),
    sampleWeights: Float64Array.of(1, 1, 1, 0, 0),
  })
  const error = largestError(flat(large.parameters as typeof start), flat(small.parameters as typeof start))
  assert.ok(error < 1e-14, `${error}`)
  assert.ok(Math.abs((large.losses[0] ?? 0) - (small.losses[0] ?? 1)) < 1e-14)
})

test('settings that make no sense are refused', async () => {
  const refuses = (optimizer: OptimizerOptions, options: Partial<TrainingOptions> = {}): Promise<void> =>
    assert.rejects(compile({ name: '', optimizer, options, rule: () => plain }, 'float32', 'step'), {
      code: 'OPTIONS_INVALID',
    })
  await refuses({ kind: 'momentum', momentum: 1 })
  await refuses({ kind: 'adam', beta2: -0.1 })
  await refuses({ kind: 'adamw', weightDecay: Number.NaN })
  await refuses({ kind: 'sgd' }, { clippingNorm: 0 })
  await refuses({ kind: 'sgd' }, { proximal: -1 })
})

test('a parameter of another float type than the output trains by plain SGD and is refused otherwise', async () => {
  const constants = {
    w: { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) },
    d: { dtype: 'float64', shape: [2], data: Float64Array.of(3, 4) },
  } as const
  const model = modelOf('float32', [2], constants, [
    node('Add', ['x', 'w'], 'a'),
    node('Cast', ['a'], 'b', { to: { int: 11 } }),
    node('Mul', ['b', 'd'], 'c'),
    node('Cast', ['c'], 'y', { to: { int: 1 } }),
  ])
  const compiled = (optimizer: OptimizerOptions) =>
    compileTraining(model, { loss: 'mean-squared-error', optimizer, form: 'step' }, ortRunner)
  const { parameters } = await runCompiled(await compiled({ kind: 'sgd' }), {
    parameters: { w: constants.w.data, d: constants.d.data },
    features: Float32Array.of(0, 0),
    labels: Float32Array.of(1, 4),
    learningRate: 0.5,
  })
  // y = (3, 8), and the gradient of the mean is d − label = (2, 4) at each output: dW = (2·3, 4·4), dD = (2·1, 4·2).
  assert.deepEqual(
    [[...(parameters.w as Float32Array)], [...(parameters.d as Float64Array)]],
    [
      [-2, -6],
      [2, 0],
    ],
  )
  const refusal = { code: 'DTYPE_UNSUPPORTED', message: /"d"/ }
  await assert.rejects(compiled({ kind: 'adam' }), refusal)
  await assert.rejects(compiled({ kind: 'sgd', weightDecay: 0.1 }), refusal)
})
