import { compileInference } from '@tributary/onnx-train/compile-inference'
import { parametersOf } from '@tributary/onnx-train/parameters'
import { readModel } from '@tributary/onnx-train/read-model'
import { type DType, elementCount, type Tensor } from '@tributary/onnx-train/tensor'
import { TrainingError } from '../training-error.ts'
import { expectWeights, splitWeights } from './flat-weights.ts'
import { maxGraphBytes } from './graph-cache.ts'
import type { CheckMessage } from './protocol.ts'
import { Session } from './runtime.ts'

/** Examples of the sample: one of zeros and one of numbers from 0 to 1. */
const examples = 2

/**
 * Loads a model and runs it once. Whole numbers are given as zeros, which are an index of every table.
 * @returns whether all numbers that come out are finite
 * @throws OnnxModelError, TrainingError WEIGHTS_MISMATCH, MODEL_UNSUPPORTED, and what the runtime says
 */
export const runCheck = async ({ graph, weights }: CheckMessage): Promise<boolean> => {
  const model = readModel(graph, { maxBytes: maxGraphBytes })
  expectWeights(weights, parametersOf(model))
  const compiled = compileInference(model)
  const views = splitWeights(weights, compiled.parameters)
  const parameters = compiled.parameters.map(({ name }, index): [string, Tensor] => [name, views[index] as Tensor])
  await using session = await Session.open(compiled.model)
  const shape = [examples, ...compiled.exampleShape]
  const features: Tensor = { dtype: compiled.featuresDtype, shape, data: sampleOf(compiled.featuresDtype, shape) }
  const results = await session.run(new Map([...parameters, [compiled.features, features]]), [compiled.output])
  const output = results.get(compiled.output)
  return output !== undefined && output.data.length > 0 && allFinite(output)
}

const sampleOf = (dtype: DType, shape: readonly number[]): Tensor['data'] => {
  const count = elementCount(shape)
  const half = count / examples
  const at = (index: number): number => (index < half ? 0 : (index % 17) / 16)
  switch (dtype) {
    case 'float32':
      return Float32Array.from({ length: count }, (_, index) => at(index))
    case 'float64':
      return Float64Array.from({ length: count }, (_, index) => at(index))
    case 'int64':
      return new BigInt64Array(count)
    case 'int32':
      return new Int32Array(count)
    default:
      throw new TrainingError('MODEL_UNSUPPORTED', `The model takes ${dtype}. Use float32, float64, int32 or int64.`)
  }
}

const allFinite = ({ data }: Tensor): boolean => {
  for (const value of data) if (typeof value === 'number' && !Number.isFinite(value)) return false
  return true
}
