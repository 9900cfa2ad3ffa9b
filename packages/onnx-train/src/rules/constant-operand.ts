import { inputAt } from '../graph.ts'
import type { GradientContext } from './gradient-rule.ts'
import { unsupportedForm } from './window.ts'

/**
 * The integers of an input that rules must know while compiling, undefined where the input is omitted.
 * Throws OPERATOR_FORM_UNSUPPORTED where they depend on data or on the batch.
 */
export const constantInts = (context: GradientContext, index: number, role: string): number[] | undefined => {
  const name = inputAt(context.node, index)
  if (name === undefined) return undefined
  const { constant } = context.typeOf(name)
  if (constant !== undefined) return Array.from(constant.data as BigInt64Array, Number)
  return unsupportedForm(context.node, `${role} that depend on data or batch size`, `Make its ${role} constants.`)
}

/** The size of a value along an axis. Throws OPERATOR_FORM_UNSUPPORTED where it varies. */
export const fixedSize = (context: GradientContext, name: string, axis: number): number => {
  const { shape } = context.typeOf(name)
  const size = shape[axis < 0 ? axis + shape.length : axis]
  if (typeof size === 'number') return size
  return unsupportedForm(context.node, `axis ${axis} of a size that varies`, 'Use it along other axes than the batch.')
}
