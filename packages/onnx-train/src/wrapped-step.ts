import type { Graph, Node } from './graph.ts'
import { declarationOf, type Port, port } from './ports.ts'
import type { Tensor } from './tensor.ts'
import type { FixedTensor, TrainStep } from './train-step.ts'

/** A train step as a graph of its own, every input and output described. */
export type WrappedStep = {
  readonly graph: Graph
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
}

/** A carried tensor under another name. */
export const carriedPorts = (step: TrainStep, rename: (name: string, updated: string) => string): Port[] => [
  ...step.carried.map(({ name, updated, buffer, dtype, shape }) =>
    port(buffer === true ? 'buffer' : 'parameter', { name: rename(name, updated), dtype, shape }, name),
  ),
  ...step.state.map(({ name, updated, parameter, dtype, shape }) =>
    port('state', { name: rename(name, updated), dtype, shape }, parameter),
  ),
]

/** Inputs that are the same in every step; `examples` names the size of the data. */
export const commonPorts = (
  step: TrainStep,
  names: { readonly features: string; readonly labels: string; readonly sampleWeights: string | undefined },
  examples: string,
): Port[] => {
  const { forward, label, learningRate, dtype, frozen, anchors, corrections } = step
  const { features, exampleShape } = forward
  const fixed = (role: 'anchor' | 'correction', tensors: readonly FixedTensor[]): Port[] =>
    tensors.map(({ name, parameter }) => port(role, { ...parameter, name }, parameter.name))
  return [
    ...frozen.map(parameter => port('frozen', parameter, parameter.name)),
    ...fixed('anchor', anchors),
    ...fixed('correction', corrections),
    port('features', { name: names.features, dtype: features.dtype, shape: [examples, ...exampleShape] }),
    port('labels', { name: names.labels, dtype: label.dtype, shape: [examples, ...label.shape] }),
    ...(names.sampleWeights === undefined
      ? []
      : [port('sample-weights', { name: names.sampleWeights, dtype, shape: [examples] })]),
    port('learning-rate', { name: learningRate, dtype, shape: [] }),
  ]
}

/** Puts a wrapped step together. */
export const wrapped = (
  graph: Omit<Graph, 'inputs' | 'outputs'>,
  inputs: readonly Port[],
  outputs: readonly Port[],
): WrappedStep => ({
  graph: {
    ...graph,
    constants: constantsRead(graph.nodes, graph.constants),
    inputs: inputs.map(declarationOf),
    outputs: outputs.map(declarationOf),
  },
  inputs,
  outputs,
})

/** Passes leave constants behind that no node reads any more. */
const constantsRead = (nodes: readonly Node[], constants: ReadonlyMap<string, Tensor>): Map<string, Tensor> => {
  const read = new Set<string>()
  const visit = (node: Node): void => {
    for (const name of node.inputs) read.add(name)
    for (const attribute of node.attributes.values()) if ('graph' in attribute) attribute.graph.nodes.forEach(visit)
  }
  nodes.forEach(visit)
  return new Map([...constants].filter(([name]) => read.has(name)))
}
