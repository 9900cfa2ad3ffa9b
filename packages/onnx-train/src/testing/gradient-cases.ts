import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as ort from 'onnxruntime-node'
import { differentiate } from '../differentiate.ts'
import { Emitter } from '../emitter.ts'
import type { Graph, Node, ValueDeclaration } from '../graph.ts'
import { modelFromGraph } from '../graph-to-proto.ts'
import { expandBatchNormalization } from '../lowering/expand-batch-normalization.ts'
import { inferAndLower } from '../lowering/infer-and-lower.ts'
import { castTarget } from '../onnx-types.ts'
import { shareCommonSubexpressions } from '../passes/common-subexpressions.ts'
import { dropDeadCode } from '../passes/dead-code.ts'
import { mergeMovements } from '../passes/merge-movements.ts'
import { shareConstants } from '../passes/share-constants.ts'
import type { Tensor } from '../tensor.ts'
import { writeModel } from '../write-model.ts'
import { randomTensor } from './model-of.ts'
import { ortRunner, runSession, sessionOptions } from './ort-runner.ts'

/** Results in doubles from inputs in doubles, by name. */
export type Definition = (inputs: Readonly<Record<string, Float64Array>>) => Float64Array | readonly number[]

export type GradientCase = {
  /** What is differentiated: values, or the shape of random ones between −1 and 1. The first axis of "x" is the batch. */
  readonly inputs: Readonly<Record<string, readonly number[] | Tensor>>
  readonly constants?: Readonly<Record<string, Tensor>>
  /** The last node's first output is the result. */
  readonly nodes: readonly Node[]
  readonly opset?: number
  /**
   * Default float64, differentiated numerically through the runtime. Where it has no double kernel: float32, with
   * `definition` to differentiate instead, or, if the result is linear in each input, with a `step` so large that
   * rounding does not matter.
   */
  readonly dtype?: 'float32' | 'float64'
  readonly definition?: Definition
  readonly step?: number
  /** Relative L2 error that is allowed; default 1e-7 in float64 and 2e-6 in float32. */
  readonly tolerance?: number
  /** Inputs whose gradient is not looked at. */
  readonly ignore?: readonly string[]
}

/** A test: the compiled gradient of Σ r ⊙ result, for random r, is that of central differences. */
export const gradientTest = (name: string, given: GradientCase): void => {
  test(`gradient of ${name}`, () => checkGradients(given))
}

/** The compiled gradients of Σ r ⊙ result by input, and what they were computed from. */
export const gradientsOf = async (
  given: GradientCase,
  values: ReadonlyMap<string, Tensor> = valuesOf(given),
): Promise<{ readonly gradients: ReadonlyMap<string, Tensor>; readonly cotangent: Tensor; readonly y: Tensor }> => {
  const { dtype = 'float64', opset = 18 } = given
  const forward = forwardGraph(given, values)
  const result = forward.outputs[0]?.name ?? ''
  await using reference = await Session.open(forward, opset)
  const y = (await reference.run(values)).get(result) as Tensor
  const cotangent = randomTensor(dtype, y.shape, 99)
  const compiled = await backwardGraph(forward, values, opset, cotangent)
  const fetches = [...compiled.gradients.values()]
  const found = await ortRunner(compiled.model, new Map([...values, [compiled.seed, cotangent]]), fetches)
  const named = [...compiled.gradients].map(([name, output]): [string, Tensor] => [name, found.get(output) as Tensor])
  return { gradients: new Map(named), cotangent, y }
}

export const checkGradients = async (given: GradientCase): Promise<void> => {
  const { dtype = 'float64', opset = 18 } = given
  const values = valuesOf(given)
  const { gradients, cotangent, y } = await gradientsOf(given, values)
  const forward = forwardGraph(given, values)
  const result = forward.outputs[0]?.name ?? ''
  const names = [...values.keys()]
  await using reference = await Session.open(forward, opset)
  const loss = async (): Promise<number> => {
    const results = given.definition?.(inDoubles(values)) ?? (await reference.run(values)).get(result)?.data
    return dot(cotangent.data as Float64Array, results as Float64Array)
  }
  if (given.definition !== undefined) {
    const expected = Float64Array.from(given.definition(inDoubles(values)))
    assert.ok(
      relativeError(Float64Array.from(y.data as Float32Array), expected) < 1e-6,
      'the definition is another one',
    )
  }
  for (const name of names.filter(each => !given.ignore?.includes(each))) {
    const gradient = gradients.get(name)
    assert.ok(gradient !== undefined, `${name} has no gradient`)
    assert.deepEqual(gradient.shape, values.get(name)?.shape, name)
    const expected = await centralDifferences(values.get(name)?.data as Float64Array, loss, given.step ?? 1e-6)
    const error = relativeError(Float64Array.from(gradient.data as Float64Array), expected)
    assert.ok(error < (given.tolerance ?? (dtype === 'float64' ? 1e-7 : 2e-6)), `${name}: ${error}`)
  }
}

/** Values between `low` and `high`, for operators that are not defined or not smooth everywhere. */
export const between = (low: number, high: number, shape: readonly number[], seed = 7): Tensor => {
  const { data } = randomTensor('float64', shape, seed)
  return { dtype: 'float64', shape, data: (data as Float64Array).map(value => low + ((value + 1) / 2) * (high - low)) }
}

export const float64 = (shape: readonly number[], ...values: number[]): Tensor => ({
  dtype: 'float64',
  shape,
  data: Float64Array.from(values),
})

export const int64 = (shape: readonly number[], ...values: number[]): Tensor => ({
  dtype: 'int64',
  shape,
  data: BigInt64Array.from(values, BigInt),
})

const valuesOf = ({ inputs, dtype = 'float64' }: GradientCase): Map<string, Tensor> =>
  new Map(Object.entries(inputs).map(([name, spec], seed) => [name, tensorOf(spec, dtype, seed)]))

const tensorOf = (spec: readonly number[] | Tensor, dtype: 'float32' | 'float64', seed: number): Tensor => {
  if (Array.isArray(spec)) return randomTensor(dtype, spec, seed + 1)
  const tensor = spec as Tensor
  const numbers = tensor.data as Float64Array
  return { ...tensor, dtype, data: dtype === 'float64' ? Float64Array.from(numbers) : Float32Array.from(numbers) }
}

const forwardGraph = (given: GradientCase, values: ReadonlyMap<string, Tensor>): Graph => ({
  name: 'case',
  inputs: [...values].map(([name, tensor]) => declare(name, tensor)),
  outputs: [{ name: given.nodes.at(-1)?.outputs[0] ?? '' }],
  constants: new Map(Object.entries(given.constants ?? {})),
  nodes: given.nodes,
})

const declare = (name: string, { dtype, shape }: Tensor): ValueDeclaration => ({
  name,
  dtype,
  shape: name === 'x' ? ['batch', ...shape.slice(1)] : shape,
})

const backwardGraph = async (
  forward: Graph,
  values: ReadonlyMap<string, Tensor>,
  opset: number,
  cotangent: Tensor,
): Promise<{ model: Uint8Array; seed: string; gradients: ReadonlyMap<string, string> }> => {
  const output = forward.outputs[0]?.name ?? ''
  const parameters = [...values].flatMap(([name, { dtype, shape }]) =>
    name === 'x' ? [] : [{ name, dtype: dtype as 'float64', shape }],
  )
  const data = { ...forward, inputs: forward.inputs.filter(({ name }) => name === 'x') }
  const lowered = await inferAndLower(data, parameters, opset, ortRunner)
  const emitter = new Emitter(lowered.values.keys())
  const seed = emitter.fresh('seed')
  const nodes = lowered.graph.nodes
  const gradients = differentiate(emitter, {
    nodes,
    values: lowered.values,
    parameters: [...values.keys()],
    output,
    seed,
    ...batchSizeOf(emitter, values.get('x')),
  })
  // A gradient that is the seed itself, or that two inputs share, gets a name of its own.
  const named = new Map([...gradients].map(([name, gradient]) => [name, emitter.emit('Identity', [gradient])]))
  const expanded = expandBatchNormalization([...nodes, ...emitter.nodes], emitter, lowered.values)
  const constants = new Map([...lowered.graph.constants, ...emitter.constants])
  const results = [...named.values()]
  const all = dropDeadCode(mergeMovements(shareConstants(expanded, constants), constants, results), results)
  const graph: Graph = {
    name: 'gradients',
    inputs: [...forward.inputs, { name: seed, dtype: cotangent.dtype, shape: cotangent.shape }],
    outputs: results.map(name => ({ name })),
    constants,
    nodes: shareCommonSubexpressions(all, results),
  }
  return { model: writeModel(modelFromGraph(graph, opset)), seed, gradients: named }
}

/** The number of examples as rules know it in a train step. */
const batchSizeOf = (emitter: Emitter, x: Tensor | undefined): { batchSize?: string } => {
  if (x === undefined) return {}
  const size = emitter.call('Squeeze', emitter.emit('Shape', ['x'], { start: 0, end: 1 }))
  return { batchSize: emitter.emit('Cast', [size], { to: castTarget[x.dtype === 'float64' ? 'float64' : 'float32'] }) }
}

const centralDifferences = async (
  values: Float64Array,
  loss: () => Promise<number>,
  step: number,
): Promise<Float64Array> => {
  const gradient = new Float64Array(values.length)
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? 0
    values[index] = value + step
    const above = await loss()
    // A float32 array rounds what is stored, so the step that was taken is read back.
    const upper = values[index] ?? 0
    values[index] = value - step
    gradient[index] = (above - (await loss())) / (upper - (values[index] ?? 0))
    values[index] = value
  }
  return gradient
}

const inDoubles = (values: ReadonlyMap<string, Tensor>): Record<string, Float64Array> =>
  Object.fromEntries([...values].map(([name, { data }]) => [name, Float64Array.from(data as Float64Array)]))

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let index = 0; index < a.length; index++) sum += (a[index] ?? 0) * (b[index] ?? 0)
  return sum
}

class Session implements AsyncDisposable {
  readonly #session: ort.InferenceSession
  readonly #outputs: readonly string[]

  private constructor(session: ort.InferenceSession, outputs: readonly string[]) {
    this.#session = session
    this.#outputs = outputs
  }

  static async open(graph: Graph, opset: number): Promise<Session> {
    const session = await ort.InferenceSession.create(writeModel(modelFromGraph(graph, opset)), sessionOptions)
    return new Session(
      session,
      graph.outputs.map(({ name }) => name),
    )
  }

  run(values: ReadonlyMap<string, Tensor>): Promise<ReadonlyMap<string, Tensor>> {
    return runSession(this.#session, values, this.#outputs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.release()
  }
}

/** ‖a − b‖ / ‖b‖, or ‖a‖ where b is zero. */
const relativeError = (a: Float64Array, b: Float64Array): number =>
  Math.hypot(...a.map((value, index) => value - (b[index] ?? 0))) / (Math.hypot(...b) || 1)
