import { checkGrowth } from './check-growth.ts'
import { checkShrinking } from './check-shrinking.ts'
import type { Graph } from './graph.ts'
import { modelFromGraph } from './graph-to-proto.ts'
import { OnnxModelError } from './onnx-model-error.ts'
import type { Parameter } from './parameters.ts'
import type { Runner } from './runner.ts'
import { isRandom } from './seed-random.ts'
import { type Tensor, zeros } from './tensor.ts'
import type { Size, ValueType } from './values.ts'
import { writeModel } from './write-model.ts'

/** Two batch sizes tell a fixed size from one that grows with the batch. */
const probeSizes = [2, 3] as const

/**
 * Types and shapes of every value, found by running the forward graph at two batch sizes with zeros.
 * Shapes are independent of the weights' values; shape arithmetic inside the graph therefore just works, and its results
 * are known as constants.
 * Throws SHAPES_UNKNOWN with the runtime's message as cause.
 */
export const inferValues = async (
  graph: Graph,
  parameters: readonly Parameter[],
  opset: number,
  runner: Runner,
): Promise<Map<string, ValueType>> => {
  const names = graph.nodes.flatMap(({ outputs }) => outputs).filter(name => name !== '')
  const known = new Map<string, ValueType>()
  for (const [name, tensor] of graph.constants) known.set(name, { ...compare(tensor, tensor), constant: tensor })
  for (const { name, dtype, shape } of parameters) known.set(name, { dtype, shape })
  const weights = parameters.map(({ name, dtype, shape }): [string, Tensor] => [name, zeros(dtype, shape)])
  const probe = async (part: Graph, wanted: readonly string[], batch: number): Promise<Map<string, Tensor>> => {
    const data = graph.inputs.map(({ name, dtype, shape }): [string, Tensor] => [
      name,
      zeros(dtype, [batch, ...(shape.slice(1) as number[])]),
    ])
    const model = writeModel(modelFromGraph(withOutputs(part, parameters, wanted), opset))
    const found = wanted.length === 0 ? [] : await runProbe(runner, model, new Map([...data, ...weights]), wanted)
    return new Map([...data, ...found])
  }
  checkGrowth(graph)
  await checkShrinking(
    graph,
    async (before, wanted) => new Map([...weights, ...(await probe(before, wanted, probeSizes[0]))]),
  )
  const small = await probe(graph, names, probeSizes[0])
  const large = await probe(graph, names, probeSizes[1])
  const independent = independentOf([...graph.inputs, ...parameters], graph)
  let budget = maxConstantElements
  for (const [name, tensor] of small) {
    const type = compare(tensor, large.get(name))
    const isKnown = independent.has(name) && isSame(tensor, large.get(name)) && tensor.data.length <= budget
    if (isKnown) budget -= tensor.data.length
    known.set(name, isKnown ? { ...type, constant: tensor } : type)
  }
  return known
}

/** All constants of a graph together: enough for any shape arithmetic, little enough to be no burden. */
const maxConstantElements = 1 << 20

/** Outputs of nodes that depend on no element of what is fed (on shapes they may depend). */
const independentOf = (fed: readonly { readonly name: string }[], { nodes }: Graph): Set<string> => {
  const tainted = new Set(fed.map(({ name }) => name))
  const independent = new Set<string>()
  for (const node of nodes) {
    const { op, inputs, outputs } = node
    const taints = op !== 'Shape' && op !== 'Size' && (isRandom(node) || inputs.some(name => tainted.has(name)))
    for (const output of outputs) (taints ? tainted : independent).add(output)
  }
  return independent
}

const isSame = (a: Tensor, b: Tensor | undefined): boolean =>
  b !== undefined &&
  a.shape.join() === b.shape.join() &&
  Array.prototype.every.call(a.data, (value, index) => Object.is(value, b.data[index]))

/** Every intermediate as an output whose type the runtime infers. */
const withOutputs = (graph: Graph, parameters: readonly Parameter[], names: readonly string[]): Graph => ({
  ...graph,
  inputs: [...graph.inputs, ...parameters],
  outputs: names.map(name => ({ name })),
})

const runProbe = async (
  runner: Runner,
  model: Uint8Array,
  feeds: ReadonlyMap<string, Tensor>,
  names: readonly string[],
): Promise<ReadonlyMap<string, Tensor>> => {
  try {
    return await runner(model, feeds, names)
  } catch (cause) {
    throw new OnnxModelError(
      'SHAPES_UNKNOWN',
      `The runtime could not run the forward graph: ${cause instanceof Error ? cause.message.slice(0, 400) : 'no reason given'}`,
      'Check that the model runs on batches of two and three examples.',
      { cause },
    )
  }
}

const compare = (small: Tensor, large: Tensor | undefined): ValueType => ({
  dtype: small.dtype,
  shape: small.shape.map((size, axis): Size => {
    const other = large?.shape[axis]
    if (size === other) return size
    const perExample = size / probeSizes[0]
    return Number.isInteger(perExample) && other === perExample * probeSizes[1] ? { perExample } : 'unknown'
  }),
})
