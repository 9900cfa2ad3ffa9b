import { intAttribute, onlyOutput } from '../graph.ts'
import type { GradientRule } from './gradient-rule.ts'

/** dX = y·(dY − Σ dY·y) */
export const softmaxGradient: GradientRule = ({ emitter, node, outputGradient }) => {
  const y = onlyOutput(node)
  const axes = emitter.int64s([intAttribute(node, 'axis', -1)])
  const sum = emitter.emit('ReduceSum', [emitter.call('Mul', outputGradient, y), axes], { keepdims: 1 })
  return [emitter.call('Mul', y, emitter.call('Sub', outputGradient, sum))]
}

/** dX = dY − softmax(x)·Σ dY */
export const logSoftmaxGradient: GradientRule = ({ emitter, node, outputGradient }) => {
  const axes = emitter.int64s([intAttribute(node, 'axis', -1)])
  const sum = emitter.emit('ReduceSum', [outputGradient, axes], { keepdims: 1 })
  return [emitter.call('Sub', outputGradient, emitter.call('Mul', emitter.call('Exp', onlyOutput(node)), sum))]
}
