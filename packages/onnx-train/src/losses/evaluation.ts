import { castTarget } from '../onnx-types.ts'
import { type Port, port } from '../ports.ts'
import { exampleSizes } from './expect-output.ts'
import type { LossContext, LossOptions, LossTerms } from './loss.ts'

/** Emits what evaluation tells of every example, [B] each, and describes it. Padding and ignored positions do not count. */
export const emitEvaluation = (context: LossContext, terms: LossTerms, options: LossOptions): Port[] => {
  const { emitter, dtype, shape, output, labels } = context
  const batch = ['batch']
  const fresh = (wish: string): string => emitter.fresh(wish)
  const axes = Array.from({ length: shape.length - 1 }, (_, index) => index + 1)
  const sumOverExample = (value: string): string =>
    axes.length === 0 ? value : emitter.emit('ReduceSum', [value, emitter.int64s(axes)], { keepdims: 0 })

  const losses = fresh('losses')
  const ports = [port('loss-of-example', { name: losses, dtype, shape: batch })]
  const masked = terms.mask === undefined ? terms.elements : emitter.emit('Mul', [terms.elements, terms.mask])
  const sum = sumOverExample(masked)
  const mean =
    terms.mask === undefined
      ? dividedBy(sum, terms.positions)
      : emitter.emit('Div', [sum, emitter.emit('Max', [sumOverExample(terms.mask), emitter.scalar(dtype, 1)])])
  emitter.define([losses], terms.sign === 1 ? 'Identity' : 'Neg', [mean])
  ports.push(emitScores())

  if (terms.label.kind === 'real') {
    const name = fresh('absolute_errors')
    const error = emitter.emit('Abs', [emitter.emit('Sub', [output, labels])])
    emitter.define([name], 'Identity', [dividedBy(sumOverExample(error), terms.positions)])
    return [...ports, port('absolute-error', { name, dtype, shape: batch })]
  }
  const [hits, counted] = [fresh('hits'), fresh('counted')]
  emitter.define([hits], 'Cast', [sumOverExample(hitMask())], { to: castTarget.int32 })
  if (terms.mask === undefined) {
    const positions = { dtype: 'int32', shape: [], data: Int32Array.of(terms.positions) } as const
    emitter.define([counted], 'Expand', [emitter.constant(positions, 'positions'), emitter.emit('Shape', [losses])])
  } else {
    emitter.define([counted], 'Cast', [sumOverExample(terms.mask)], { to: castTarget.int32 })
  }
  return [
    ...ports,
    port('hits', { name: hits, dtype: 'int32', shape: batch }),
    port('counted', { name: counted, dtype: 'int32', shape: batch }),
  ]

  function dividedBy(value: string, by: number): string {
    return by === 1 ? value : emitter.emit('Div', [value, emitter.scalar(dtype, by)])
  }

  function classAxis(): number {
    const axis = 'classAxis' in options ? (options.classAxis ?? -1) : -1
    return axis < 0 ? axis + shape.length : axis
  }

  /** The output under a name of its own, with classes on the last axis. */
  function emitScores(): Port {
    const name = fresh('scores')
    const last = shape.length - 1
    const axis = terms.label.kind === 'class-index' ? classAxis() : last
    if (axis === last) {
      emitter.define([name], 'Identity', [output])
      return port('scores', { name, dtype, shape: ['batch', ...exampleSizes(shape)] })
    }
    const perm = [...shape.keys()].toSpliced(axis, 1).concat(axis)
    emitter.define([name], 'Transpose', [output], { perm })
    const sizes = exampleSizes(shape)
    return port('scores', { name, dtype, shape: ['batch', ...perm.slice(1).map(from => sizes[from - 1] as number)] })
  }

  /** 1 where a position that counts is predicted right; rank of the output. */
  function hitMask(): string {
    const cast = (condition: string): string => emitter.emit('Cast', [condition], { to: castTarget[dtype] })
    if (terms.label.kind === 'binary') {
      const half = emitter.scalar(dtype, 0.5)
      const positive = emitter.emit('Greater', [output, emitter.scalar(dtype, 0)])
      const wanted = emitter.emit('Greater', [labels, half])
      return cast(emitter.emit('Not', [emitter.emit('Xor', [positive, wanted])]))
    }
    const axis = classAxis()
    const best = emitter.emit('ArgMax', [output], { axis, keepdims: 1 })
    const label = emitter.emit('Unsqueeze', [labels, emitter.int64s([axis])])
    const right = cast(emitter.emit('Equal', [emitter.emit('Cast', [best], { to: castTarget.int32 }), label]))
    return terms.mask === undefined ? right : emitter.emit('Mul', [right, terms.mask])
  }
}
