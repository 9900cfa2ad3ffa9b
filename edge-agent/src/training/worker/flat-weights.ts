import { type Parameter, parameterElements } from '@tributary/onnx-train/parameters'
import { elementCount, type Tensor } from '@tributary/onnx-train/tensor'
import { TrainingError } from '../training-error.ts'

const smallestNormal = 2 ** -126

/** Views of a flat vector as tensors, in manifest order. Throws WEIGHTS_MISMATCH when it is not exactly filled. */
export const splitWeights = (flat: Float32Array, parameters: readonly Parameter[]): Tensor[] => {
  expectWeights(flat, parameters)
  let offset = 0
  return parameters.map(({ shape }) => {
    const start = offset
    offset += elementCount(shape)
    return { dtype: 'float32', shape, data: flat.subarray(start, offset) }
  })
}

/** Throws WEIGHTS_MISMATCH unless the vector has one float32 for each element of each parameter. */
export const expectWeights = (flat: Float32Array, parameters: readonly Parameter[]): void => {
  const elements = parameterElements(parameters)
  if (elements === flat.length && parameters.every(({ dtype }) => dtype === 'float32')) return
  throw new TrainingError(
    'WEIGHTS_MISMATCH',
    `The graph has ${elements} weights, ${flat.length} were given. Give all parameters as float32 in manifest order.`,
  )
}

/**
 * One flat vector from tensors in manifest order, or undefined where a value is not finite. Denormals become zero, as
 * they do inside the runtime, so that the bytes do not depend on whether the runtime did.
 */
export const joinWeights = (tensors: readonly Tensor[]): Float32Array<ArrayBuffer> | undefined => {
  const flat = new Float32Array(tensors.reduce((sum, { data }) => sum + data.length, 0))
  let offset = 0
  for (const { data } of tensors) {
    flat.set(data as Float32Array, offset)
    offset += data.length
  }
  for (let index = 0; index < flat.length; index++) {
    const magnitude = Math.abs(flat[index] ?? 0)
    if (magnitude < smallestNormal) flat[index] = 0
    else if (!(magnitude < Number.POSITIVE_INFINITY)) return undefined
  }
  return flat
}
