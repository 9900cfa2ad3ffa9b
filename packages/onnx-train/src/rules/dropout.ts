import { inputAt } from '../graph.ts'
import { castTarget } from '../onnx-types.ts'
import { floatOf, type GradientRule } from './gradient-rule.ts'
import { unsupportedForm } from './window.ts'

/** Dropout: the gradient passes where the value did, scaled as it was (Srivastava et al. 2014). */
export const dropoutGradient: GradientRule = context => {
  const { node, emitter, typeOf, outputGradient } = context
  const constantAt = (index: number, fallback: number): number => {
    const name = inputAt(node, index)
    if (name === undefined) return fallback
    const value = typeOf(name).constant?.data[0]
    if (value !== undefined) return Number(value)
    return unsupportedForm(node, 'a ratio or mode that is computed', 'Make them constants.')
  }
  const ratio = constantAt(1, 0.5)
  if (constantAt(2, 0) === 0 || ratio === 0) return [outputGradient]
  const dtype = floatOf(context)
  const mask = emitter.emit('Cast', [node.outputs[1] ?? ''], { to: castTarget[dtype] })
  const scaled = emitter.call('Mul', mask, emitter.scalar(dtype, 1 / (1 - ratio)))
  return [emitter.call('Mul', outputGradient, scaled)]
}
