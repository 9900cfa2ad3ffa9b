import * as ort from 'onnxruntime-node'
import type { CompiledTraining } from '../compile-training.ts'
import { elementCount, type Tensor, type TensorData, zeros } from '../tensor.ts'
import { runSession, sessionOptions } from './ort-runner.ts'

type Values = Readonly<Record<string, TensorData>>

/** What goes into a compiled graph besides what it describes itself. */
export type Given = {
  /** Parameters, running statistics and frozen ones, by name. */
  readonly parameters: Values
  readonly features: TensorData
  readonly labels: TensorData
  readonly learningRate: number
  readonly sampleWeights?: TensorData
  /** Loop form. */
  readonly order?: { readonly steps: number; readonly rows: Int32Array }
  /** As an earlier run returned it. @default zeros */
  readonly state?: Values
  readonly anchors?: Values
  readonly corrections?: Values
}

export type Outcome = {
  readonly parameters: Record<string, TensorData>
  readonly state: Values
  readonly losses: number[]
}

/** Runs a compiled graph by its description alone: every input is found by its role. For tests. */
export const runCompiled = async (compiled: CompiledTraining, given: Given, threads = 1): Promise<Outcome> => {
  const session = await ort.InferenceSession.create(compiled.model, { ...sessionOptions, intraOpNumThreads: threads })
  try {
    const feeds = new Map(compiled.inputs.map(port => [port.name, feed(compiled, given, port)]))
    const results = await runSession(
      session,
      feeds,
      compiled.outputs.map(({ name }) => name),
    )
    const parameters: Record<string, TensorData> = {}
    const state: Record<string, TensorData> = {}
    for (const { name, output } of compiled.parameters) parameters[name] = (results.get(output) as Tensor).data
    for (const { input, output } of compiled.state) state[input] = (results.get(output) as Tensor).data
    return { parameters, state, losses: [...((results.get(compiled.losses) as Tensor).data as Float64Array)] }
  } finally {
    await session.release()
  }
}

const feed = ({ dtype }: CompiledTraining, given: Given, port: CompiledTraining['inputs'][number]): Tensor => {
  const own = port.parameter ?? ''
  const data = {
    parameter: given.parameters[own],
    buffer: given.parameters[own],
    frozen: given.parameters[own],
    anchor: given.anchors?.[own],
    correction: given.corrections?.[own],
    state: given.state?.[port.name] ?? zeros(port.dtype, port.shape as number[]).data,
    features: given.features,
    labels: given.labels,
    'sample-weights': given.sampleWeights,
    'learning-rate': dtype === 'float64' ? Float64Array.of(given.learningRate) : Float32Array.of(given.learningRate),
    order: given.order?.rows,
  }[port.role as string]
  if (data === undefined) throw new Error(`nothing was given for ${port.role} ${port.name}`)
  // At most one size of a port is free, save that of the order: [steps, batch].
  const left = data.length / elementCount(port.shape.filter(size => typeof size === 'number'))
  const steps = given.order?.steps ?? 1
  const shape =
    port.role === 'order' ? [steps, left / steps] : port.shape.map(size => (typeof size === 'number' ? size : left))
  return { dtype: port.dtype, shape, data }
}
