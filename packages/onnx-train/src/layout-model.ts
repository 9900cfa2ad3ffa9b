import { create, type DescMessage, isFieldSet, type MessageShape, toBinary } from '@bufbuild/protobuf'
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  TensorProtoSchema,
} from './gen/onnx_pb.ts'
import { OnnxModelError, shorten } from './onnx-model-error.ts'
import { graphOf, type Parameter, parametersKey, parametersOf } from './parameters.ts'
import { elementCount } from './tensor.ts'
import { codeOf } from './tensor-proto.ts'

/** A piece of a file: bytes as they are, or where the elements of a parameter go (little-endian, row-major). */
export type ModelPiece =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'weights'; readonly name: string; readonly byteLength: number }

/** Field numbers and wire type 2 of the format's own definition. */
const graphTag = (7 << 3) | 2
const initialiserTag = (5 << 3) | 2
const rawDataTag = (9 << 3) | 2

/** A protobuf message above this cannot be read anywhere. */
export const mostModelBytes = 2 ** 31 - 1

/**
 * The file that `writeModel(withWeights(model, …))` gives, as pieces, without any weight in memory: for models that are
 * written as a stream.
 * @returns the pieces in order, and the bytes of the whole file
 * @throws OnnxModelError TOO_BIG above the 2 GiB of a protobuf message
 */
export const layoutModel = (model: ModelProto): { readonly pieces: readonly ModelPiece[]; readonly bytes: number } => {
  const graph = graphOf(model)
  const parameters = new Map(parametersOf(model).map(parameter => [parameter.name, parameter]))
  const standing = new Set(graph.initializer.map(({ name }) => name))
  const declaredOnly = [...parameters.values()].filter(({ name }) => !standing.has(name))
  const initialisers = [
    ...declaredOnly.map(weightPieces),
    ...graph.initializer.map(proto => {
      const parameter = parameters.get(proto.name)
      return parameter === undefined
        ? [piece(delimited(initialiserTag, toBinary(TensorProtoSchema, proto)))]
        : weightPieces(parameter)
    }),
  ].flat()
  const fed: GraphProto = create(GraphProtoSchema, {
    ...graph,
    input: graph.input.filter(({ name }) => standing.has(name) || !parameters.has(name)),
  })
  const whole: ModelProto = create(ModelProtoSchema, {
    ...model,
    metadataProps: model.metadataProps.filter(({ key }) => key !== parametersKey),
  })
  const inGraph = [
    piece(someFields(GraphProtoSchema, fed, number => number < 5)),
    ...initialisers,
    piece(someFields(GraphProtoSchema, fed, number => number > 5)),
  ]
  const pieces = [
    piece(someFields(ModelProtoSchema, whole, number => number < 7)),
    piece(lengthPrefix(graphTag, lengthOf(inGraph))),
    ...inGraph,
    piece(someFields(ModelProtoSchema, whole, number => number > 7)),
  ]
  const bytes = lengthOf(pieces)
  if (bytes > mostModelBytes) {
    throw new OnnxModelError(
      'TOO_BIG',
      `The file would have ${bytes} bytes, more than the ${mostModelBytes} that the format can hold`,
      'Take graph and weights apart.',
    )
  }
  return { pieces, bytes }
}

/** As `toBinary` writes the tensor: dims, data type and name come before the elements. */
const weightPieces = ({ name, dtype, shape }: Parameter): ModelPiece[] => {
  const byteLength = elementCount(shape) * (dtype === 'float32' ? 4 : 8)
  if (!Number.isSafeInteger(byteLength)) {
    throw new OnnxModelError('TOO_BIG', `Parameter "${shorten(name)}" is too large to count`, 'Use a smaller model.')
  }
  const tensor = create(TensorProtoSchema, { name, dims: shape.map(BigInt), dataType: codeOf(dtype) })
  const head = join(toBinary(TensorProtoSchema, tensor), lengthPrefix(rawDataTag, byteLength))
  return [
    piece(join(lengthPrefix(initialiserTag, head.length + byteLength), head)),
    { kind: 'weights', name, byteLength },
  ]
}

/** The fields of a message whose numbers fit, in their order; with the last of them what was not understood. */
const someFields = <Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  fits: (number: number) => boolean,
): Uint8Array => {
  const part = create(schema) as Record<string, unknown>
  for (const field of schema.fields) {
    if (fits(field.number) && isFieldSet(message, field)) {
      part[field.localName] = (message as Record<string, unknown>)[field.localName]
    }
  }
  const last = fits(Number.MAX_SAFE_INTEGER)
  if (last && message.$unknown !== undefined) part.$unknown = message.$unknown
  return toBinary(schema, part as MessageShape<Desc>)
}

const piece = (bytes: Uint8Array): ModelPiece => ({ kind: 'bytes', bytes })

const lengthOf = (pieces: readonly ModelPiece[]): number =>
  pieces.reduce((sum, part) => sum + (part.kind === 'bytes' ? part.bytes.length : part.byteLength), 0)

const delimited = (tag: number, bytes: Uint8Array): Uint8Array => join(lengthPrefix(tag, bytes.length), bytes)

/** Tag and length as base-128 varints; lengths may pass 2^32 here and are refused at the end. */
const lengthPrefix = (tag: number, length: number): Uint8Array => {
  const bytes = [tag]
  let rest = length
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  bytes.push(rest)
  return Uint8Array.from(bytes)
}

const join = (...parts: readonly Uint8Array[]): Uint8Array => {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}
