import type { GradientContext } from './gradient-rule.ts'
import { reshapeLike } from './reduce-to-shape.ts'

/**
 * The gradient of any MaxPool, by the flat indices of its winners: each dY is added where its window found its maximum
 * (the first one where several tie). Windows may overlap, so the additions are scattered.
 */
export const maxPoolGradientByIndices = (context: GradientContext): string => {
  const { node, emitter, outputGradient } = context
  const [x = ''] = node.inputs
  const indices = emitter.fresh('MaxPool.indices')
  emitter.define([emitter.fresh('MaxPool.values'), indices], 'MaxPool', [x], Object.fromEntries(node.attributes))
  const flat = (value: string): string => emitter.call('Reshape', value, emitter.int64s([-1]))
  const zeros = zerosOfSize(context, x)
  const scattered = emitter.emit('ScatterElements', [zeros, flat(indices), flat(outputGradient)], {
    axis: 0,
    reduction: { string: 'add' },
  })
  return reshapeLike(context, scattered, x)
}

/** A vector of zeros with as many elements as a value. */
const zerosOfSize = ({ emitter, typeOf }: GradientContext, value: string): string => {
  const size = emitter.call('Reshape', emitter.call('Size', value), emitter.int64s([1]))
  const { dtype } = typeOf(value)
  const data = dtype === 'float64' ? Float64Array.of(0) : Float32Array.of(0)
  return emitter.emit('ConstantOfShape', [size], { value: { tensor: { dtype, shape: [1], data } } })
}
