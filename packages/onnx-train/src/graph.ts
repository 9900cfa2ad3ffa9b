import type { DType, Tensor } from './tensor.ts'

/** A node attribute, tagged because ONNX tells integers from floats. */
export type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly tensor: Tensor }
  | { readonly graph: Graph }

/** One operator call of the default domain; an empty input name is an omitted optional input. */
export type Node = {
  readonly op: string
  readonly name: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: ReadonlyMap<string, Attribute>
}

/** A declared size: a number, or the name of a size that is known only at run time. */
export type DeclaredSize = number | string

export type ValueDeclaration = {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly DeclaredSize[]
}

/** Type and shape of an output may be left to the runtime to infer (graphs inside a graph, probes). */
export type OutputDeclaration = ValueDeclaration | { readonly name: string; readonly dtype?: undefined }

/** A graph as passes and rules see it: values are names, every name is written once, nodes are in topological order. */
export type Graph = {
  readonly name: string
  readonly inputs: readonly ValueDeclaration[]
  readonly outputs: readonly OutputDeclaration[]
  readonly constants: ReadonlyMap<string, Tensor>
  readonly nodes: readonly Node[]
}

export const intAttribute = (node: Node, name: string, fallback: number): number => {
  const attribute = node.attributes.get(name)
  return attribute !== undefined && 'int' in attribute ? attribute.int : fallback
}

export const floatAttribute = (node: Node, name: string, fallback: number): number => {
  const attribute = node.attributes.get(name)
  return attribute !== undefined && 'float' in attribute ? attribute.float : fallback
}

export const intsAttribute = (node: Node, name: string): readonly number[] | undefined => {
  const attribute = node.attributes.get(name)
  return attribute !== undefined && 'ints' in attribute ? attribute.ints : undefined
}

export const stringAttribute = (node: Node, name: string, fallback: string): string => {
  const attribute = node.attributes.get(name)
  return attribute !== undefined && 'string' in attribute ? attribute.string : fallback
}

/** How a message calls a node: its name, or its first output where it has none. */
export const nodeLabel = (node: Node): string => node.name || (node.outputs[0] ?? node.op)

/** The only output of a node. */
export const onlyOutput = (node: Node): string => node.outputs[0] ?? ''

/** An input's name, or undefined where it is omitted. */
export const inputAt = (node: Node, index: number): string | undefined => node.inputs[index] || undefined

/** How often each value is read, by nodes and as a result. */
export const countUses = (nodes: readonly Node[], results: readonly string[]): Map<string, number> => {
  const uses = new Map<string, number>()
  const use = (name: string): void => void uses.set(name, (uses.get(name) ?? 0) + 1)
  for (const node of nodes) node.inputs.forEach(use)
  results.forEach(use)
  return uses
}
