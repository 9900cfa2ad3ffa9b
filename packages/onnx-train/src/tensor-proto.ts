import { create } from '@bufbuild/protobuf'
import { type TensorProto, TensorProto_DataLocation, TensorProto_DataType, TensorProtoSchema } from './gen/onnx_pb.ts'
import { OnnxModelError, shorten } from './onnx-model-error.ts'
import { bytesPerElement, type DType, elementCount, type Tensor, tensorBytes, tensorFromBytes } from './tensor.ts'

const dtypeByCode = new Map<number, DType>([
  [TensorProto_DataType.FLOAT, 'float32'],
  [TensorProto_DataType.DOUBLE, 'float64'],
  [TensorProto_DataType.INT32, 'int32'],
  [TensorProto_DataType.INT64, 'int64'],
  [TensorProto_DataType.BOOL, 'bool'],
  [TensorProto_DataType.UINT8, 'uint8'],
  [TensorProto_DataType.INT8, 'int8'],
])

const codeByDtype = new Map([...dtypeByCode].map(([code, dtype]) => [dtype, code]))

/** The dtype behind an ONNX element type code, or undefined where this package does not handle it. */
export const dtypeOf = (code: number): DType | undefined => dtypeByCode.get(code)

export const codeOf = (dtype: DType): number => codeByDtype.get(dtype) ?? TensorProto_DataType.UNDEFINED

/** The shape of a stored tensor. Throws MALFORMED for negative or absurd sizes. */
export const shapeOfProto = (proto: TensorProto): number[] => {
  const shape = proto.dims.map(Number)
  if (shape.length > 64 || shape.some(size => size < 0) || !Number.isSafeInteger(elementCount(shape) * 8)) {
    throw new OnnxModelError(
      'MALFORMED',
      `Tensor "${shorten(proto.name)}" has the impossible shape [${shape.slice(0, 8).join(', ')}]`,
      'Export the model again; the file is damaged.',
    )
  }
  return shape
}

/**
 * Reads a stored tensor. The result shares memory with the file where alignment allows it.
 * Throws EXTERNAL_DATA, DTYPE_UNSUPPORTED, TENSOR_SIZE_MISMATCH, MALFORMED.
 */
export const tensorFromProto = (proto: TensorProto): Tensor => {
  refuseExternalData(proto)
  const dtype = dtypeOf(proto.dataType)
  if (dtype === undefined) {
    throw new OnnxModelError(
      'DTYPE_UNSUPPORTED',
      `Tensor "${shorten(proto.name)}" has the ONNX element type ${proto.dataType}`,
      'Export the model with float32 weights.',
    )
  }
  const shape = shapeOfProto(proto)
  if (proto.rawData.length > 0) {
    expectSize(proto, proto.rawData.length, elementCount(shape) * bytesPerElement(dtype))
    return tensorFromBytes(dtype, shape, proto.rawData)
  }
  const values = typedField(proto, dtype)
  expectSize(proto, values.length, elementCount(shape))
  return fromValues(dtype, shape, values)
}

/** Stores a tensor in `raw_data`, sharing memory with it. */
export const tensorToProto = (name: string, tensor: Tensor): TensorProto =>
  create(TensorProtoSchema, {
    name,
    dims: tensor.shape.map(BigInt),
    dataType: codeOf(tensor.dtype),
    rawData: tensorBytes(tensor),
  })

/** Throws EXTERNAL_DATA for a tensor whose elements are in another file. */
export const refuseExternalData = (proto: TensorProto): void => {
  if (proto.dataLocation === TensorProto_DataLocation.EXTERNAL || proto.externalData.length > 0) {
    throw new OnnxModelError(
      'EXTERNAL_DATA',
      `The elements of tensor "${shorten(proto.name)}" are kept in another file`,
      'Export with the weights inside the file (torch.onnx.export(..., external_data=False)); models above 2 GB train in the Python worker.',
    )
  }
}

const typedField = (proto: TensorProto, dtype: DType): readonly number[] | readonly bigint[] => {
  if (dtype === 'float32') return proto.floatData
  if (dtype === 'float64') return proto.doubleData
  return dtype === 'int64' ? proto.int64Data : proto.int32Data
}

const fromValues = (dtype: DType, shape: number[], values: readonly number[] | readonly bigint[]): Tensor => {
  if (dtype === 'int64') return { dtype, shape, data: BigInt64Array.from(values as readonly bigint[]) }
  const numbers = values as readonly number[]
  if (dtype === 'float32') return { dtype, shape, data: Float32Array.from(numbers) }
  if (dtype === 'float64') return { dtype, shape, data: Float64Array.from(numbers) }
  if (dtype === 'int32') return { dtype, shape, data: Int32Array.from(numbers) }
  return { dtype, shape, data: dtype === 'int8' ? Int8Array.from(numbers) : Uint8Array.from(numbers) }
}

const expectSize = (proto: TensorProto, actual: number, expected: number): void => {
  if (actual === expected) return
  throw new OnnxModelError(
    'TENSOR_SIZE_MISMATCH',
    `Tensor "${shorten(proto.name)}" holds ${actual} instead of ${expected} ${proto.rawData.length > 0 ? 'bytes' : 'elements'}`,
    'Export the model again; the file is damaged.',
  )
}
