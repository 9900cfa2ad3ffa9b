import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { TrainingWork } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
} from '@tributary/onnx-train/gen/onnx_pb'
import { type Bundle, bundle } from './federation.ts'

/** Names that would be files elsewhere, break a path, or fill a log, were one of them ever joined to a folder. */
export const hostileNames = [
  '../../escaped',
  '..',
  '/etc/passwd',
  'C:\\Windows\\win.ini',
  'file:///etc/passwd',
  'stripes\0.json',
  '%2e%2e%2fescaped',
  '__proto__',
  'x'.repeat(10_000),
]

type Change = (work: TrainingWork, name: string) => void

/** Where work has names that a node chooses. */
const places: Record<string, Change> = {
  task: (work, name) => Object.assign(work.attempt ?? {}, { task: name }),
  dataset: (work, name) => Object.assign(work, { dataset: name }),
  base: (work, name) => Object.assign(work.base ?? {}, { sha256: name }),
  manifest: (work, name) => Object.assign(work.manifest ?? {}, { sha256: name }),
  graph: (work, name) => Object.assign(work.graph ?? {}, { sha256: name }),
  trainer: (work, name) => Object.assign(work.trainer ?? {}, { framework: 'pytorch', trainer: name }),
  framework: (work, name) => Object.assign(work.trainer ?? {}, { framework: name }),
  seed: (work, name) => Object.assign(work, { seed: name }),
}

/** Sizes and settings that no honest node gives. */
const numbers: Record<string, (work: TrainingWork) => void> = {
  'weights of a terabyte': work => Object.assign(work.base ?? {}, { bytes: 2n ** 40n }),
  'weights of 2^64 - 1 bytes': work => Object.assign(work.base ?? {}, { bytes: 2n ** 64n - 1n }),
  'weights of no bytes': work => Object.assign(work.base ?? {}, { bytes: 0n }),
  'a manifest of a gigabyte': work => Object.assign(work.manifest ?? {}, { bytes: 2n ** 30n }),
  'no weights': work => Object.assign(work, { base: undefined }),
  'no settings': work => Object.assign(work, { trainer: undefined }),
  'a billion epochs': work => Object.assign(work.trainer ?? {}, { localEpochs: 1_000_000_000 }),
  'no batch': work => Object.assign(work.trainer ?? {}, { batchSize: 0 }),
  'batches of four billion': work => Object.assign(work.trainer ?? {}, { batchSize: 2 ** 32 - 1 }),
  'a rate that is no number': work => Object.assign(work.trainer ?? {}, { learningRate: Number.NaN }),
  'an infinite clipping norm': work => Object.assign(work.sum ?? {}, { clippingNorm: Number.POSITIVE_INFINITY }),
  'a negative clipping norm': work => Object.assign(work.sum ?? {}, { clippingNorm: -1 }),
  'an update of no bytes': work => Object.assign(work, { maxUpdateBytes: 0n }),
  'a thousand groups': work => Object.assign(work, { groups: Array.from({ length: 1000 }, (_, group) => `g${group}`) }),
}

/** Every hostile name in every place, and every wrong number, each as a change of honest work. */
export const hostileChanges: readonly (readonly [string, (work: TrainingWork) => void])[] = [
  ...Object.entries(places).flatMap(([place, change]) =>
    hostileNames.map(name => [`${place} ${name.slice(0, 20)}`, (work: TrainingWork) => change(work, name)] as const),
  ),
  ...Object.entries(numbers),
]

const withGraph = (change: (model: ModelProto) => void): Bundle => {
  const model = fromBinary(ModelProtoSchema, bundle.graph)
  change(model)
  return { ...bundle, graph: toBinary(ModelProtoSchema, model) }
}

const manifestText = Buffer.from(bundle.manifest).toString()
const withManifest = (text: string): Bundle => ({ ...bundle, manifest: Buffer.from(text) })

const int64Tensor = (name: string, values: readonly bigint[]) =>
  create(TensorProtoSchema, {
    name,
    dataType: TensorProto_DataType.INT64,
    dims: [BigInt(values.length)],
    int64Data: [...values],
  })

/** Puts a node between the graph's input and whoever reads it. */
const before = (model: ModelProto, opType: string, more: readonly string[]): void => {
  const { graph } = model
  const input = graph?.input[0]?.name
  if (graph === undefined || input === undefined) throw new Error('the test model has no input')
  for (const node of graph.node) node.input = node.input.map(name => (name === input ? 'between' : name))
  graph.node.unshift(create(NodeProtoSchema, { opType, name: 'between', input: [input, ...more], output: ['between'] }))
}

/** Models that ask for files, code or the machine's memory. */
export const hostileModels: Record<string, () => Bundle> = {
  'a constant in /etc/passwd': () =>
    withGraph(model => {
      before(model, 'Add', ['outside'])
      const entry = (key: string, value: string) => create(StringStringEntryProtoSchema, { key, value })
      model.graph?.initializer.push(
        create(TensorProtoSchema, {
          name: 'outside',
          dataType: TensorProto_DataType.FLOAT,
          dims: [784n],
          dataLocation: TensorProto_DataLocation.EXTERNAL,
          externalData: [entry('location', '/etc/passwd'), entry('offset', '0'), entry('length', '3136')],
        }),
      )
    }),
  'a body of If': () =>
    withGraph(model => {
      const body = fromBinary(ModelProtoSchema, bundle.graph).graph
      before(model, 'If', [])
      const branch = (name: string) =>
        create(AttributeProtoSchema, {
          name,
          type: AttributeProto_AttributeType.GRAPH,
          ...(body === undefined ? {} : { g: body }),
        })
      model.graph?.node[0]?.attribute.push(branch('then_branch'), branch('else_branch'))
    }),
  'an Expand to 2^62 values': () =>
    withGraph(model => {
      before(model, 'Expand', ['huge'])
      model.graph?.initializer.push(int64Tensor('huge', [2n ** 31n, 2n ** 31n, 784n]))
    }),
  'a Tile by 2^40': () =>
    withGraph(model => {
      before(model, 'Tile', ['huge'])
      model.graph?.initializer.push(int64Tensor('huge', [2n ** 40n, 1n]))
    }),
  'a constant that says it has 2^62 values': () =>
    withGraph(model => {
      before(model, 'Add', ['huge'])
      model.graph?.initializer.push(
        create(TensorProtoSchema, { name: 'huge', dataType: TensorProto_DataType.FLOAT, dims: [2n ** 62n] }),
      )
    }),
  'an operator of a library': () =>
    withGraph(model => {
      before(model, 'PyOp', [])
      Object.assign(model.graph?.node[0] ?? {}, { domain: 'ai.onnx.contrib' })
    }),
  'a graph of brackets': () => ({ ...bundle, graph: Buffer.alloc(200_000, 0x3b) }),
  'a manifest of a hundred thousand tensors': () => {
    const tensors = Array.from({ length: 100_000 }, (_, at) => ({
      name: `t${at}`,
      dtype: 'F32',
      shape: [1],
      policy: 'average',
    }))
    return withManifest(JSON.stringify({ ...JSON.parse(manifestText), tensors }))
  },
  'a manifest with a prototype': () =>
    withManifest(`{"__proto__":{"polluted":true},${manifestText.slice(1).replace('"name":"', '"name":"other')}`),
  'a tensor named __proto__': () => withManifest(manifestText.replace(/"name":"[^"]+"/, '"name":"__proto__"')),
  'a manifest of brackets': () => withManifest('['.repeat(1_000_000)),
}
