import type { Attribute, Node } from '../graph.ts'
import { modelFromGraph } from '../graph-to-proto.ts'
import { glorotUniform, splitmix32 } from '../models/random.ts'
import { readModel } from '../read-model.ts'
import { elementCount, type Tensor } from '../tensor.ts'
import { writeModel } from '../write-model.ts'

type Float = 'float32' | 'float64'

/** A node in one line, for tests: op, inputs, output or outputs, attributes. */
export const node = (
  op: string,
  inputs: readonly string[],
  output: string | readonly string[],
  attributes: Record<string, Attribute> = {},
): Node => {
  const outputs = typeof output === 'string' ? [output] : output
  return { op, name: `${outputs[0]}_node`, inputs, outputs, attributes: new Map(Object.entries(attributes)) }
}

/** A model with input "x" [batch, …exampleShape], one output, and the given constants. For tests. */
export const modelOf = (
  dtype: Float,
  exampleShape: readonly number[],
  constants: Record<string, Tensor>,
  nodes: readonly Node[],
  opset = 17,
) => {
  const output = nodes.at(-1)?.outputs[0] ?? ''
  const graph = {
    name: 'test',
    inputs: [{ name: 'x', dtype, shape: ['batch', ...exampleShape] }],
    outputs: [{ name: output, dtype, shape: ['batch', 'classes'] }],
    constants: new Map(Object.entries(constants)),
    nodes,
  }
  return readModel(writeModel(modelFromGraph(graph, opset)), { maxBytes: 1e8 })
}

/** Seeded values in about ±1. */
export const randomTensor = (dtype: Float, shape: readonly number[], seed: number): Tensor => {
  const values = glorotUniform(splitmix32(seed), elementCount(shape), 3, 3)
  return { dtype, shape, data: dtype === 'float64' ? Float64Array.from(values) : values }
}
