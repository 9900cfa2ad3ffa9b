import { intAttribute, intsAttribute, onlyOutput } from '../graph.ts'
import type { GradientRule } from './gradient-rule.ts'
import { maxPoolGradientByIndices } from './max-pool-indices.ts'
import { unsupportedForm, windowOf } from './window.ts'

/**
 * MaxPool. Where windows do not overlap the mask of winners is x == upsample(y), and elements of a window that tie share
 * the gradient equally: about twice as fast as MaxPool with indices, which is scalar code in the runtime.
 */
export const maxPoolGradient: GradientRule = context => {
  const { node, emitter, typeOf, outputGradient } = context
  const x = node.inputs[0] ?? ''
  const y = onlyOutput(node)
  const kernel = intsAttribute(node, 'kernel_shape') ?? []
  const { strides, dilations, padBegin, padEnd, inputSizes, outputSizes } = windowOf(node, typeOf(x), typeOf(y), kernel)
  const covers = outputSizes.every((size, axis) => size * (kernel[axis] ?? 1) <= (inputSizes[axis] ?? 0))
  const isSimple =
    covers &&
    strides.join() === kernel.join() &&
    dilations.every(step => step === 1) &&
    [...padBegin, ...padEnd].every(pad => pad === 0)
  if (intAttribute(node, 'storage_order', 0) !== 0) unsupportedForm(node, 'storage_order = 1', 'Use storage_order = 0.')
  // AveragePool and Resize, which the mask needs, have no double kernels.
  if (!isSimple || typeOf(x).dtype === 'float64') return [maxPoolGradientByIndices(context)]
  const dtype = 'float32'
  const covered = outputSizes.map((size, axis) => size * (kernel[axis] ?? 1))
  const ragged = inputSizes.flatMap((size, axis) => (size > (covered[axis] ?? 0) ? [axis] : []))
  const axesOf = (list: readonly number[]): string => emitter.int64s(list.map(axis => axis + 2))
  const crop =
    ragged.length === 0
      ? x
      : emitter.emit('Slice', [
          x,
          emitter.int64s(ragged.map(() => 0)),
          emitter.int64s(ragged.map(axis => covered[axis] ?? 0)),
          axesOf(ragged),
        ])
  const scales = emitter.constant(
    { dtype: 'float32', shape: [kernel.length + 2], data: Float32Array.of(1, 1, ...kernel) },
    'scales',
  )
  const upsample = (value: string): string =>
    emitter.emit('Resize', [value, '', scales], {
      mode: { string: 'nearest' },
      nearest_mode: { string: 'floor' },
      coordinate_transformation_mode: { string: 'asymmetric' },
    })
  const winners = emitter.emit('Cast', [emitter.emit('Equal', [crop, upsample(y)])], {
    to: 1,
  })
  const share = emitter.emit('AveragePool', [winners], { kernel_shape: kernel, strides })
  // share = ties / window, so dY / (share · window) is what each winner gets.
  const window = emitter.scalar(
    dtype,
    kernel.reduce((product, size) => product * size, 1),
  )
  const each = emitter.emit('Div', [outputGradient, emitter.emit('Mul', [share, window])])
  const gradient = emitter.emit('Mul', [winners, upsample(each)])
  if (ragged.length === 0) return [gradient]
  const missing = inputSizes.map((size, axis) => size - (covered[axis] ?? 0))
  const pads = emitter.int64s([0, 0, ...missing.map(() => 0), 0, 0, ...missing])
  return [emitter.emit('Pad', [gradient, pads])]
}
