import { readFileSync } from 'node:fs'
import { fromBinary } from '@bufbuild/protobuf'
import { type ModelProto, ModelProtoSchema } from '../gen/onnx_pb.ts'
import { sketchLength } from '../golden/sketch.ts'
import type { LossKind } from '../losses/loss.ts'
import { splitmix32 } from '../models/random.ts'
import { readModel } from '../read-model.ts'
import { elementCount, type TensorData } from '../tensor.ts'
import { writeModel } from '../write-model.ts'

type Drawn = { readonly seed: number; readonly shape: readonly number[] } & (
  | { readonly below: number }
  | { readonly scale: number; readonly offset: number }
)

type Steps = {
  readonly optimizer: 'sgd' | 'momentum' | 'adam'
  readonly learningRate: number
  readonly count: number
  readonly floor: number
}

/** As fixtures/golden.py writes it. */
type Description = {
  readonly loss: { readonly kind: LossKind; readonly value: number }
  readonly features: Drawn
  readonly labels: Drawn
  readonly tensors: readonly (Drawn & { readonly name: string })[]
  readonly gradient: { readonly floor: number; readonly of: readonly string[] }
  readonly steps: readonly Steps[]
}

type Sketches = ReadonlyMap<string, Float64Array>

/** A model with its weights and a batch, and what PyTorch computes from them in float64. */
export type GoldenFixture = {
  readonly model: ModelProto
  readonly loss: Description['loss']
  readonly batchSize: number
  readonly features: TensorData
  readonly labels: TensorData
  /** Weights and running statistics at the start, and the seed of their signs. */
  readonly tensors: ReadonlyMap<string, { readonly seed: number; readonly values: Float32Array }>
  readonly gradient: { readonly floor: number; readonly sketches: Sketches }
  /** How far tensors are from the start after some steps. */
  readonly steps: readonly (Steps & { readonly sketches: Sketches })[]
}

const folder = new URL('../../fixtures/golden/', import.meta.url)

export const loadGolden = (name: string): GoldenFixture => {
  const read = (extension: string): Buffer => readFileSync(new URL(`${name}.${extension}`, folder))
  const { loss, features, labels, tensors, gradient, steps }: Description = JSON.parse(read('json').toString())
  const drawn = new Map(tensors.map(spec => [spec.name, { seed: spec.seed, values: drawFloats(spec) }]))
  const sketches = sketchReader(read('f64'))
  const names = tensors.map(tensor => tensor.name)
  return {
    model: withDrawnWeights(read('onnx'), new Map([...drawn].map(([key, { values }]) => [key, values]))),
    loss,
    batchSize: features.shape[0] ?? 0,
    features: draw(features),
    labels: loss.kind === 'softmax-cross-entropy' ? Int32Array.from(draw(labels), Number) : drawnFloats(labels),
    tensors: drawn,
    gradient: { floor: gradient.floor, sketches: sketches(gradient.of) },
    steps: steps.map(each => ({ ...each, sketches: sketches(names) })),
  }
}

/** Reads the sketches one set after the other, in the order in which they were written. */
const sketchReader = (bytes: Buffer): ((names: readonly string[]) => Sketches) => {
  const numbers = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  let at = 0
  return names =>
    new Map(
      names.map(name => {
        at += sketchLength
        return [name, numbers.subarray(at - sketchLength, at)]
      }),
    )
}

/** Puts the weights back whose data the fixture leaves out. */
const withDrawnWeights = (bytes: Uint8Array, weights: ReadonlyMap<string, Float32Array>): ModelProto => {
  const model = fromBinary(ModelProtoSchema, bytes)
  for (const initializer of model.graph?.initializer ?? []) {
    const values = weights.get(initializer.name)
    if (values !== undefined) initializer.rawData = new Uint8Array(values.buffer)
  }
  return readModel(writeModel(model), { maxBytes: 1e8 })
}

const drawFloats = (spec: Drawn): Float32Array => {
  if (!('scale' in spec)) throw new Error('these are no floats')
  const next = splitmix32(spec.seed)
  const { scale, offset } = spec
  const values = new Float32Array(elementCount(spec.shape))
  // A plain loop: Float32Array.from with a function takes seconds for the weights of a deep network.
  for (let index = 0; index < values.length; index++) values[index] = (next() / 2 ** 31 - 1) * scale + offset
  return values
}

const drawIntegers = (seed: number, count: number, below: number): number[] => {
  const next = splitmix32(seed)
  return Array.from({ length: count }, () => next() % below)
}

const draw = (spec: Drawn): TensorData =>
  'below' in spec
    ? BigInt64Array.from(drawIntegers(spec.seed, elementCount(spec.shape), spec.below), BigInt)
    : drawFloats(spec)

const drawnFloats = (spec: Drawn): Float32Array =>
  'below' in spec ? Float32Array.from(drawIntegers(spec.seed, elementCount(spec.shape), spec.below)) : drawFloats(spec)
