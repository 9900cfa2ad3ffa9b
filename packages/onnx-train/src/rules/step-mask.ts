import { castTarget } from '../onnx-types.ts'
import { floatOf, type GradientContext } from './gradient-rule.ts'

/** Large enough that α·v ≥ 1 for every normal float32 v > 0, small enough to be a float32 itself. */
const steep = 3e38

/**
 * 1 where a value is positive, else 0. HardSigmoid(v; α = 3e38, β = 0) = min(1, max(0, αv)) is that in one vectorised
 * pass: 33 µs for 250 000 elements where Sign takes 316 µs and Where 198 µs. The runtime has it for float32 only.
 */
export const positiveMask = (context: GradientContext, value: string): string => {
  const { emitter } = context
  if (floatOf(context) === 'float32') {
    return emitter.emit('HardSigmoid', [value], { alpha: { float: steep }, beta: { float: 0 } })
  }
  const isPositive = emitter.call('Greater', value, emitter.scalar('float64', 0))
  return emitter.emit('Cast', [isPositive], { to: castTarget.float64 })
}
