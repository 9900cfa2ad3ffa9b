import { type Node, stringAttribute } from '../graph.ts'
import { type Size, sameSize } from '../values.ts'
import type { GradientContext, GradientRule } from './gradient-rule.ts'
import { unsupportedForm } from './window.ts'

/**
 * Einsum: the gradient of an operand is the Einsum of dY with the other operands onto the operand's letters. That holds
 * where each letter occurs once in an operand and again outside of it, and stands for one size.
 */
export const einsumGradient: GradientRule = context => {
  const { node, emitter, outputGradient, wants } = context
  const { operands, result } = withoutEllipsis(context, termsOf(node))
  refuseStretched(context, operands)
  return operands.map((operand, index) => {
    if (!wants(index)) return undefined
    const others = operands.filter((_, other) => other !== index)
    const outside = [result, ...others].join('')
    if (new Set(operand).size !== operand.length) {
      unsupportedForm(node, `a diagonal, "${operand}"`, 'Write it with other operators.')
    }
    if (operand.split('').some(letter => !outside.includes(letter))) {
      unsupportedForm(node, `a sum over one operand alone, "${operand}"`, 'Sum it with ReduceSum first.')
    }
    const inputs = [outputGradient, ...node.inputs.filter((_, other) => other !== index)]
    return emitter.emit('Einsum', inputs, { equation: { string: `${[result, ...others].join()}->${operand}` } })
  })
}

type Terms = { readonly operands: readonly string[]; readonly result: string }

/** The letters of every operand and of the result, which are those that occur once where it is not written. */
const termsOf = (node: Node): Terms => {
  const equation = stringAttribute(node, 'equation', '').replaceAll(' ', '')
  const [left = '', right] = equation.split('->')
  const operands = left.split(',')
  if (right !== undefined) return { operands, result: right }
  const letters = left
    .replaceAll(/[^A-Za-z]/g, '')
    .split('')
    .sort()
  const once = letters.filter(letter => letters.indexOf(letter) === letters.lastIndexOf(letter))
  return { operands, result: `${left.includes('...') ? '...' : ''}${once.join('')}` }
}

/** The runtime stretches an axis of size 1 to what its letter is elsewhere, which the standard does not say. */
const refuseStretched = ({ node, typeOf }: GradientContext, operands: readonly string[]): void => {
  const isOne = new Map<string, boolean>()
  for (const [index, operand] of operands.entries()) {
    const { shape } = typeOf(node.inputs[index] ?? '')
    for (const [axis, letter] of operand.split('').entries()) {
      const one = shape[axis] === 1
      if (one !== (isOne.get(letter) ?? one)) {
        unsupportedForm(node, `letter "${letter}" for sizes that differ`, 'Expand its operands to the same sizes.')
      }
      isOne.set(letter, one)
    }
  }
}

/** An ellipsis written out in letters that the equation does not use; it must stand for the same axes everywhere. */
const withoutEllipsis = ({ node, typeOf }: GradientContext, terms: Terms): Terms => {
  const all = [...terms.operands, terms.result]
  const hidden = [...node.inputs, ...node.outputs].flatMap((name, index): (readonly Size[])[] => {
    const term = all[index] ?? ''
    const { shape } = typeOf(name)
    const [before = '', after] = term.split('...')
    return after === undefined ? [] : [shape.slice(before.length, shape.length - after.length)]
  })
  const [first = []] = hidden
  if (hidden.some(axes => axes.length !== first.length || axes.some((size, axis) => !sameSize(size, first[axis])))) {
    unsupportedForm(node, 'an ellipsis that is broadcast', 'Expand its operands to the same leading axes.')
  }
  const unused = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'.split('').filter(letter => !all.join('').includes(letter))
  const written = unused.slice(0, first.length).join('')
  const replace = (term: string): string => term.replace('...', written)
  return { operands: terms.operands.map(replace), result: replace(terms.result) }
}
