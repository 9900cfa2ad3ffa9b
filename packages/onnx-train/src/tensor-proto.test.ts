import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { TensorProto_DataType as DataType, TensorProtoSchema } from './gen/onnx_pb.ts'
import { tensorFromProto, tensorToProto } from './tensor-proto.ts'

test('elements are read from the field that their type asks for', () => {
  const read = (fields: object) => tensorFromProto(create(TensorProtoSchema, { name: 't', dims: [2n], ...fields })).data
  assert.deepEqual(read({ dataType: DataType.FLOAT, floatData: [0.5, -2] }), Float32Array.of(0.5, -2))
  assert.deepEqual(read({ dataType: DataType.DOUBLE, doubleData: [0.1, 2] }), Float64Array.of(0.1, 2))
  assert.deepEqual(read({ dataType: DataType.INT64, int64Data: [-1n, 4n] }), BigInt64Array.of(-1n, 4n))
  assert.deepEqual(read({ dataType: DataType.INT32, int32Data: [-1, 4] }), Int32Array.of(-1, 4))
  assert.deepEqual(read({ dataType: DataType.INT8, int32Data: [-1, 4] }), Int8Array.of(-1, 4))
  assert.deepEqual(read({ dataType: DataType.BOOL, int32Data: [1, 0] }), Uint8Array.of(1, 0))
})

test('raw bytes are read wherever they start in the file', () => {
  const bytes = new Uint8Array(9)
  bytes.set(new Uint8Array(Float32Array.of(1.5, -3).buffer), 1)
  const proto = create(TensorProtoSchema, { dims: [2n], dataType: DataType.FLOAT, rawData: bytes.subarray(1) })
  assert.deepEqual(tensorFromProto(proto).data, Float32Array.of(1.5, -3))
  // A Buffer, as files are read into, slices without copying.
  const buffer = Buffer.from(bytes.buffer)
  assert.deepEqual(tensorFromProto({ ...proto, rawData: buffer.subarray(1) }).data, Float32Array.of(1.5, -3))
})

test('a tensor survives being stored and read', () => {
  const tensor = { dtype: 'int64' as const, shape: [1, 2], data: BigInt64Array.of(3n, -(2n ** 62n)) }
  assert.deepEqual(tensorFromProto(tensorToProto('t', tensor)), tensor)
  const scalar = { dtype: 'float32' as const, shape: [], data: Float32Array.of(7) }
  assert.deepEqual(tensorFromProto(tensorToProto('s', scalar)), scalar)
})

test('element types that graphs of this package do not carry are refused by tensor name', () => {
  const half = create(TensorProtoSchema, { name: 'half', dims: [1n], dataType: DataType.FLOAT16 })
  assert.throws(() => tensorFromProto(half), { code: 'DTYPE_UNSUPPORTED', message: /"half".*float32/ })
})
