import { intAttribute, intsAttribute, onlyOutput } from '../graph.ts'
import { castTarget } from '../onnx-types.ts'
import { elementCount } from '../tensor.ts'
import { floatOf, type GradientRule } from './gradient-rule.ts'
import { reshapeLike } from './reduce-to-shape.ts'
import { at, fixedSizes, positions, transposedAttributes, type Window, windowOf } from './window.ts'

/** AveragePool: every dY, divided by the size of its window, is spread over the window. */
export const averagePoolGradient: GradientRule = context => {
  const { node, emitter, typeOf, outputGradient } = context
  const [x = ''] = node.inputs
  const kernel = intsAttribute(node, 'kernel_shape') ?? []
  const window = windowOf(node, typeOf(x), typeOf(onlyOutput(node)), kernel)
  const { outputSizes } = window
  const data = divisors(window, intAttribute(node, 'count_include_pad', 0) === 1)
  const divisor = data.every(value => value === data[0])
    ? emitter.scalar('float32', data[0] ?? 1)
    : emitter.constant({ dtype: 'float32', shape: [...outputSizes], data }, 'window_sizes')
  // Channels become examples, so that one constant kernel serves them all.
  const scaled = emitter.call('Div', outputGradient, divisor)
  const planes = emitter.call('Reshape', scaled, emitter.int64s([-1, 1, ...outputSizes]))
  const ones = {
    dtype: 'float32' as const,
    shape: [1, 1, ...kernel],
    data: new Float32Array(elementCount(kernel)).fill(1),
  }
  const spread = emitter.emit('ConvTranspose', [planes, emitter.constant(ones, 'ones')], transposedAttributes(window))
  return [reshapeLike(context, spread, x)]
}

/** How many elements each window's mean is taken over; what lies beyond the padding never counts. */
const divisors = (window: Window, includePad: boolean): Float32Array => {
  const { kernel, strides, dilations, padBegin, padEnd, inputSizes, outputSizes } = window
  const counts = kernel.map((size, axis) =>
    Array.from({ length: at(outputSizes, axis) }, (_, output) => {
      const first = output * at(strides, axis) - at(padBegin, axis)
      const [low, high] = includePad
        ? [-at(padBegin, axis), at(inputSizes, axis) + at(padEnd, axis)]
        : [0, at(inputSizes, axis)]
      const seen = Array.from({ length: size }, (_, index) => first + index * at(dilations, axis))
      return seen.filter(position => position >= low && position < high).length
    }),
  )
  return Float32Array.from(positions(outputSizes), position =>
    position.reduce((product, index, axis) => product * (counts[axis]?.[index] ?? 1), 1),
  )
}

/** GlobalAveragePool: every pixel gets the same part of dY. */
export const globalAveragePoolGradient: GradientRule = context => {
  const { node, emitter, typeOf, outputGradient } = context
  const sizes = fixedSizes(node, typeOf(node.inputs[0] ?? ''))
  const part = emitter.call('Div', outputGradient, emitter.scalar(floatOf(context), elementCount(sizes)))
  return [emitter.call('Expand', part, emitter.int64s([1, 1, ...sizes]))]
}

/** GlobalMaxPool: the largest pixel gets dY; pixels that tie share it equally. */
export const globalMaxPoolGradient: GradientRule = context => {
  const { node, emitter, typeOf, outputGradient } = context
  const [x = ''] = node.inputs
  const axes = fixedSizes(node, typeOf(x)).map((_, axis) => axis + 2)
  const to = castTarget[floatOf(context)]
  const winners = emitter.emit('Cast', [emitter.call('Equal', x, onlyOutput(node))], { to })
  const ties = emitter.emit('ReduceSum', [winners, emitter.int64s(axes)], { keepdims: 1 })
  return [emitter.call('Mul', winners, emitter.call('Div', outputGradient, ties))]
}
