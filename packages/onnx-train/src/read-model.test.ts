import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import fc from 'fast-check'
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  FunctionProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  TensorProto_DataLocation,
} from './gen/onnx_pb.ts'
import { graphFromProto } from './graph-from-proto.ts'
import { mcmahan2nn } from './models/mcmahan.ts'
import { OnnxModelError } from './onnx-model-error.ts'
import { graphOf } from './parameters.ts'
import { readModel } from './read-model.ts'
import { writeModel } from './write-model.ts'

const limits = { maxBytes: 1e7 }
const original = mcmahan2nn(1)
const damaged = (change: (model: ModelProto) => void): Uint8Array => {
  const model = readModel(original, limits)
  change(model)
  return writeModel(model)
}
const refuses = (bytes: Uint8Array, code: string, nodeName?: string): void => {
  assert.throws(
    () => readModel(bytes, limits),
    error => error instanceof OnnxModelError && error.code === code && error.nodeName === nodeName,
  )
}
const firstNode = (model: ModelProto) => graphOf(model).node[0] as NonNullable<ModelProto['graph']>['node'][0]

test('a model survives reading and writing byte for byte', () => {
  assert.deepEqual(writeModel(readModel(original, limits)), original)
})

test('fields of newer versions of the format survive reading and writing', () => {
  // Field 26 (a length-delimited message of two bytes), unknown to the schema, at the end of the file.
  const newer = Uint8Array.from([...original.values(), 0xd2, 0x01, 0x02, 0x0a, 0x00])
  assert.deepEqual(writeModel(readModel(newer, limits)), newer)
})

test('a file above the limit is refused before it is decoded', () => {
  assert.throws(() => readModel(original, { maxBytes: 1000 }), { code: 'TOO_BIG' })
})

test('versions outside the supported range are refused', () => {
  const opset = (version: bigint) =>
    damaged(model => {
      model.opsetImport = model.opsetImport.map(entry => ({ ...entry, version }))
    })
  for (const version of [10n, 27n]) {
    refuses(opset(version), 'OPSET_UNSUPPORTED')
    assert.throws(
      () => readModel(opset(version), limits),
      /uses opset (10|27); 11 to 26 .* Export it with opset_version=/,
    )
  }
  for (let version = 11n; version <= 26n; version++) readModel(opset(version), limits)
  const ir = (version: bigint) =>
    damaged(model => {
      model.irVersion = version
    })
  refuses(ir(14n), 'IR_VERSION_UNSUPPORTED')
  readModel(ir(13n), limits)
})

test('a flag that is neither 0 nor 1 is refused with the name of the node', () => {
  const doubtful = damaged(model => {
    const transposed = firstNode(model)?.attribute.find(({ name }) => name === 'transB')
    if (transposed !== undefined) transposed.i = 2n
  })
  refuses(doubtful, 'MALFORMED', 'hidden1')
})

test('weights in another file are refused', () => {
  const external = damaged(model => {
    const tensor = graphOf(model).initializer[0]
    if (tensor !== undefined) tensor.dataLocation = TensorProto_DataLocation.EXTERNAL
  })
  refuses(external, 'EXTERNAL_DATA')
})

test('functions, foreign operators and control flow are refused with the name of the node', () => {
  const functions = damaged(model => {
    model.functions = [create(FunctionProtoSchema, { name: 'f' })]
  })
  refuses(functions, 'FUNCTIONS_UNSUPPORTED')
  const foreign = damaged(model => {
    firstNode(model).domain = 'com.microsoft'
  })
  refuses(foreign, 'DOMAIN_UNSUPPORTED', 'hidden1')
  for (const [opType, name] of [
    ['If', 'then_branch'],
    ['Loop', 'body'],
    ['Scan', 'body'],
  ] as const) {
    const g = create(GraphProtoSchema)
    const attribute = create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g })
    const branching = damaged(model => Object.assign(firstNode(model), { opType, attribute: [attribute] }))
    refuses(branching, 'CONTROL_FLOW_UNSUPPORTED', 'hidden1')
    assert.throws(
      () => readModel(branching, limits),
      new RegExp(`Operator ${opType} contains .*without If, Loop and Scan`),
    )
  }
})

test('quantised operators are refused by their name and that of the node', () => {
  for (const opType of [
    'QuantizeLinear',
    'DequantizeLinear',
    'DynamicQuantizeLinear',
    'QLinearMatMul',
    'MatMulInteger',
  ]) {
    const quantised = damaged(model => Object.assign(firstNode(model), { opType }))
    refuses(quantised, 'OPERATOR_UNSUPPORTED', 'hidden1')
    assert.throws(() => readModel(quantised, limits), new RegExp(`Operator ${opType} .*Export the float model`))
  }
})

test('cycles, unsorted nodes, duplicates and missing graphs are refused', () => {
  const cycle = damaged(model => {
    firstNode(model).input[0] = 'classifier.out'
  })
  refuses(cycle, 'NOT_SORTED', 'hidden1')
  const unsorted = damaged(model => void graphOf(model).node.reverse())
  refuses(unsorted, 'NOT_SORTED', 'softmax')
  const duplicate = damaged(model => {
    firstNode(model).output[0] = 'image'
  })
  refuses(duplicate, 'DUPLICATE_NAME', 'hidden1')
  refuses(writeModel(create(ModelProtoSchema, { irVersion: 8n, opsetImport: [{ version: 17n }] })), 'MALFORMED')
})

test('more nodes than allowed are refused', () => {
  assert.throws(() => readModel(original, { ...limits, maxNodes: 5 }), { code: 'TOO_MANY_NODES' })
})

test('a file of deeply nested graphs is refused instead of exhausting the stack', () => {
  let graph = create(GraphProtoSchema)
  for (let depth = 0; depth < 200; depth++) {
    const attribute: AttributeProto = create(AttributeProtoSchema, { name: 'body', g: graph })
    graph = create(GraphProtoSchema, { node: [{ attribute: [attribute] }] })
  }
  refuses(writeModel(create(ModelProtoSchema, { irVersion: 8n, graph })), 'MALFORMED')
})

test('a tensor whose size does not match its shape is refused', () => {
  const short = damaged(model => {
    const tensor = graphOf(model).initializer[0]
    if (tensor !== undefined) tensor.dims = [1000n, 1000n]
  })
  assert.throws(() => graphFromProto(graphOf(readModel(short, limits))), { code: 'TENSOR_SIZE_MISMATCH' })
  const negative = damaged(model => {
    const tensor = graphOf(model).initializer[0]
    if (tensor !== undefined) tensor.dims = [-1n, 784n]
  })
  assert.throws(() => graphFromProto(graphOf(readModel(negative, limits))), { code: 'MALFORMED' })
})

test('a file of millions of empty nodes is refused before it is decoded', () => {
  const nodes = 2_000_000
  // ModelProto: ir_version 8, opset 17, graph = node, node, … each of length 0.
  const head = [8, 8, 66, 2, 16, 17, 58, 0x80, 0x92, 0xf4, 0x01]
  const file = new Uint8Array(head.length + 2 * nodes)
  file.set(head)
  for (let at = head.length; at < file.length; at += 2) file[at] = 10
  assert.throws(() => readModel(file, limits), { code: 'TOO_BIG' })
})

test('a name that no object can have is refused', () => {
  const renamed = damaged(model => {
    const node = graphOf(model).node[0]
    if (node !== undefined) node.output = ['__proto__']
  })
  assert.throws(() => readModel(renamed, limits), { code: 'MALFORMED' })
})

test('whatever bytes arrive, the answer is a model or a typed error', () => {
  const head = original.subarray(0, 400)
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.tuple(fc.nat(399), fc.uint8Array({ minLength: 1, maxLength: 4 })).map(([at, patch]) => {
      const copy = head.slice()
      copy.set(patch.subarray(0, copy.length - at), at)
      return copy
    }),
  )
  fc.assert(
    fc.property(bytes, file => {
      try {
        graphFromProto(graphOf(readModel(file, limits)))
      } catch (error) {
        assert.ok(error instanceof OnnxModelError, String(error))
      }
    }),
    { numRuns: 2000 },
  )
})
