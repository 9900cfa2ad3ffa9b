import { exampleSizes } from './expect-output.ts'
import type { LossContext, LossTerms } from './loss.ts'

/**
 * max(z, 0) − z·y + log(1 + e^−|z|), which no z overflows; its gradient is σ(z) − y. Written out because the runtime has
 * no Softplus for doubles.
 */
export const sigmoidBinaryCrossEntropy = (context: LossContext): LossTerms => {
  const { emitter, dtype, output: z, labels, shape } = context
  const decay = emitter.emit('Exp', [emitter.emit('Neg', [emitter.emit('Abs', [z])])])
  const tail = emitter.emit('Log', [emitter.emit('Add', [decay, emitter.scalar(dtype, 1)])])
  const linear = emitter.emit('Sub', [emitter.emit('Relu', [z]), emitter.emit('Mul', [z, labels])])
  const sizes = exampleSizes(shape)
  return {
    label: { kind: 'binary', dtype, shape: sizes },
    positions: sizes.reduce((product, size) => product * size, 1),
    elements: emitter.emit('Add', [linear, tail]),
    sign: 1,
    gradient: emitter.emit('Sub', [emitter.emit('Sigmoid', [z]), labels]),
    gradientFactor: 1,
  }
}
