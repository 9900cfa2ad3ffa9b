import { onlyOutput } from '../graph.ts'
import type { GradientRule } from './gradient-rule.ts'

/** Large enough that α·y ≥ 1 for every normal float32 y > 0, small enough to be a float32 itself. */
const steep = 3e38

/**
 * dX = dY where y > 0. HardSigmoid(y; α = 3e38, β = 0) = min(1, max(0, αy)) is that mask in one vectorised pass: 33 µs
 * for 250 000 elements where Sign takes 316 µs and Where 198 µs. The runtime has it for float32 only; Sign serves doubles.
 */
export const reluGradient: GradientRule = ({ node, emitter, outputGradient, typeOf }) => {
  const y = onlyOutput(node)
  const mask =
    typeOf(y).dtype === 'float64'
      ? emitter.emit('Sign', [y])
      : emitter.emit('HardSigmoid', [y], { alpha: { float: steep }, beta: { float: 0 } })
  return [emitter.emit('Mul', [outputGradient, mask])]
}
