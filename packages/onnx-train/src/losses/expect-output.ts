import { OnnxModelError } from '../onnx-model-error.ts'
import type { Size, ValueType } from '../values.ts'
import type { FloatDType } from './loss.ts'

/**
 * Dtype and shape of the output that a loss starts from: floats, the batch first, every other size fixed.
 * Throws OUTPUTS_UNSUPPORTED.
 */
export const expectOutput = (type: ValueType | undefined): { dtype: FloatDType; shape: readonly Size[] } => {
  const [batch, ...rest] = type?.shape ?? []
  const dtype = type?.dtype
  const perExample = typeof batch === 'object' ? batch.perExample : 0
  const fixed = rest.every(size => typeof size === 'number' && size > 0)
  if (type !== undefined && perExample === 1 && fixed && (dtype === 'float32' || dtype === 'float64')) {
    return { dtype, shape: type.shape }
  }
  throw new OnnxModelError(
    'OUTPUTS_UNSUPPORTED',
    `The output has dtype ${dtype} and shape ${showShape(type?.shape ?? [])}`,
    'A loss needs float32 values of which the first axis is the batch and all others are fixed.',
  )
}

/** Sizes of one example. */
export const exampleSizes = (shape: readonly Size[]): number[] => shape.slice(1).map(Number)

export const showShape = (shape: readonly Size[]): string =>
  `[${shape.map(size => (typeof size === 'object' ? 'batch' : size)).join()}]`
