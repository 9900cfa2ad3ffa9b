import type { Emitter } from '../emitter.ts'
import type { FloatDType } from '../losses/loss.ts'

/** What torch.nn.utils.clip_grad_norm_ adds to the norm. */
const guard = 1e-6

/**
 * The factor min(1, C/(‖g‖ + 10⁻⁶)) of a step, ‖g‖ being over all gradients together. Pascanu et al. 2013
 * @param factor what the gradients are multiplied by; the norm is of those without it
 */
export const emitClipFactor = (
  emitter: Emitter,
  gradients: readonly string[],
  { dtype, maximum, factor }: { readonly dtype: FloatDType; readonly maximum: number; readonly factor: number },
): string => {
  const squares = gradients.map(gradient => emitter.emit('ReduceSumSquare', [gradient], { keepdims: 0 }))
  const total = squares.length === 1 ? (squares[0] ?? '') : emitter.emit('Sum', squares)
  const scaled = emitter.emit('Sqrt', [total])
  const norm = factor === 1 ? scaled : emitter.emit('Mul', [scaled, emitter.scalar(dtype, 1 / factor)])
  const guarded = emitter.emit('Add', [norm, emitter.scalar(dtype, guard)])
  const ratio = emitter.emit('Div', [emitter.scalar(dtype, maximum), guarded])
  return emitter.emit('Min', [ratio, emitter.scalar(dtype, 1)])
}
