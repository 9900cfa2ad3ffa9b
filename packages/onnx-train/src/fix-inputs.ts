import { create } from '@bufbuild/protobuf'
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
} from './gen/onnx_pb.ts'
import type { ValueDeclaration } from './graph.ts'
import { declarationFromProto } from './graph-from-proto.ts'
import { OnnxModelError, shorten } from './onnx-model-error.ts'
import { graphOf, parametersOf } from './parameters.ts'
import type { DType, Tensor, TensorData } from './tensor.ts'
import { tensorToProto } from './tensor-proto.ts'

/** What the inputs of a model hold in training. */
export type InputChoice = {
  /** The input that gets the examples. @default the only one without a constant */
  readonly data?: string | undefined
  /** A number with which every element of an input is filled, as a mask of ones. */
  readonly constants?: ReadonlyMap<string, number>
}

/**
 * A model whose further inputs are filled with constants, so that one is left: the data. The batch of what is filled is
 * that of the data. Takes and gives a checked model. Throws INPUTS_UNSUPPORTED, naming the input.
 */
export const fixInputs = (model: ModelProto, { data, constants = new Map() }: InputChoice): ModelProto => {
  const graph = graphOf(model)
  const known = new Set([...graph.initializer, ...parametersOf(model)].map(({ name }) => name))
  const inputs = graph.input.filter(({ name }) => !known.has(name)).map(declarationFromProto)
  for (const name of [...constants.keys(), ...(data === undefined ? [] : [data])]) {
    if (!inputs.some(input => input.name === name)) {
      refuse(`The model has no input "${shorten(name)}"`, `Its inputs are ${list(inputs)}.`)
    }
  }
  const free = inputs.filter(({ name }) => !constants.has(name))
  const chosen = data === undefined ? free : free.filter(({ name }) => name === data)
  const [examples] = chosen
  if (examples === undefined || chosen.length > 1 || free.length > 1) {
    refuse(
      `The model has ${inputs.length} inputs (${list(inputs)}), of which ${free.length} hold no constant`,
      'One input gets the examples; say what every other one is filled with. Models that learn from several inputs at once are not trained: concatenate them into one and split it inside the model.',
    )
  }
  const names = new Set(graph.node.flatMap(({ output }) => output))
  const fresh = (wanted: string): string => {
    let name = wanted
    for (let count = 1; names.has(name) || known.has(name); count++) name = `${wanted}_${count}`
    names.add(name)
    return name
  }
  const filled = inputs
    .filter(({ name }) => constants.has(name))
    .map(input => filling(input, examples?.name ?? '', constants.get(input.name) ?? 0, fresh))
  return create(ModelProtoSchema, {
    ...model,
    graph: create(GraphProtoSchema, {
      ...graph,
      input: graph.input.filter(({ name }) => !constants.has(name)),
      initializer: [...graph.initializer, ...filled.flatMap(({ tensors }) => tensors)],
      node: [...filled.flatMap(({ nodes }) => nodes), ...graph.node],
    }),
  })
}

type Filling = { readonly nodes: readonly NodeProto[]; readonly tensors: readonly TensorProto[] }

/** Nodes that compute what the input held: a constant of its shape. */
const filling = (
  { name, dtype, shape }: ValueDeclaration,
  data: string,
  value: number,
  fresh: (wanted: string) => string,
): Filling => {
  const [batch, ...rest] = shape
  const sizes = rest.map((size, axis): number => {
    if (typeof size === 'number' && size >= 0) return size
    return refuse(
      `Axis ${axis + 1} of input "${shorten(name)}" is dynamic`,
      'Export it with only the batch dimension dynamic.',
    )
  })
  const fill = { dtype, shape: [1], data: filler(dtype, name, value) }
  const attribute = [
    create(AttributeProtoSchema, {
      name: 'value',
      type: AttributeProto_AttributeType.TENSOR,
      t: tensorToProto('', fill),
    }),
  ]
  const node = (opType: string, input: string[], output: string, attributes: typeof attribute = []): NodeProto =>
    create(NodeProtoSchema, { name: `${output}_filled`, opType, input, output: [output], attribute: attributes })
  const size = fresh(`${name}_size`)
  if (typeof batch !== 'string') {
    const fixed = int64(shape as readonly number[])
    return { nodes: [node('ConstantOfShape', [size], name, attribute)], tensors: [tensorToProto(size, fixed)] }
  }
  const [all, start, end, first, others] = ['shape', 'start', 'end', 'batch', 'rest'].map(part =>
    fresh(`${name}_${part}`),
  ) as [string, string, string, string, string]
  return {
    nodes: [
      node('Shape', [data], all),
      node('Slice', [all, start, end], first),
      node('Concat', [first, others], size, [
        create(AttributeProtoSchema, { name: 'axis', type: AttributeProto_AttributeType.INT, i: 0n }),
      ]),
      node('ConstantOfShape', [size], name, attribute),
    ],
    tensors: [tensorToProto(start, int64([0])), tensorToProto(end, int64([1])), tensorToProto(others, int64(sizes))],
  }
}

const int64 = (values: readonly number[]): Tensor => ({
  dtype: 'int64',
  shape: [values.length],
  data: BigInt64Array.from(values, BigInt),
})

const filler = (dtype: DType, name: string, value: number): TensorData => {
  if (dtype === 'float32') return Float32Array.of(value)
  if (dtype === 'float64') return Float64Array.of(value)
  if (!Number.isSafeInteger(value)) refuse(`Input "${shorten(name)}" is ${dtype}, not ${value}`, 'Give an integer.')
  switch (dtype) {
    case 'int64':
      return BigInt64Array.of(BigInt(value))
    case 'int32':
      return Int32Array.of(value)
    case 'int8':
      return Int8Array.of(value)
    case 'uint8':
    case 'bool':
      return Uint8Array.of(value)
  }
}

const list = (inputs: readonly ValueDeclaration[]): string =>
  inputs
    .slice(0, 8)
    .map(({ name }) => shorten(name))
    .join(', ')

const refuse = (problem: string, advice: string): never => {
  throw new OnnxModelError('INPUTS_UNSUPPORTED', problem, advice)
}
