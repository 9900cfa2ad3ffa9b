import { OnnxModelError, shorten } from './onnx-model-error.ts'
import type { Parameter } from './parameters.ts'

/** Which parameters train; the others are frozen. Names, or patterns in which * stands for any characters. */
export type TrainableChoice = {
  /** Only these. @default all */
  readonly only?: readonly string[]
  /** All but these. @default none */
  readonly except?: readonly string[]
}

/** Most patterns in one choice. */
const maxPatterns = 10_000

/**
 * Names of the parameters (and running statistics) that change, by a choice.
 * Throws OPTIONS_INVALID for a pattern that matches nothing, and where nothing is left to train.
 */
export const chosenParameters = (parameters: readonly Parameter[], choice: TrainableChoice): ReadonlySet<string> => {
  const names = parameters.map(({ name }) => name)
  const chosen = new Set(choice.only === undefined ? names : matches(names, choice.only))
  for (const name of matches(names, choice.except ?? [])) chosen.delete(name)
  if (parameters.some(({ name, buffer }) => buffer !== true && chosen.has(name))) return chosen
  throw new OnnxModelError('OPTIONS_INVALID', 'No parameter is left to train', 'Choose at least one.')
}

const matches = (names: readonly string[], patterns: readonly string[]): string[] => {
  if (patterns.length > maxPatterns) {
    throw new OnnxModelError('OPTIONS_INVALID', `There are ${patterns.length} patterns`, `Use at most ${maxPatterns}.`)
  }
  const exact = new Set(names)
  return patterns.flatMap(pattern => {
    if (exact.has(pattern)) return [pattern]
    const found = pattern.includes('*') ? names.filter(name => matchesPattern(name, pattern.split('*'))) : []
    if (found.length > 0) return found
    throw new OnnxModelError(
      'OPTIONS_INVALID',
      `"${shorten(pattern)}" matches no parameter`,
      `The parameters are ${names.slice(0, 8).map(shorten).join(', ')}${names.length > 8 ? ', …' : ''}.`,
    )
  })
}

/** Finds the parts between the stars one after the other; linear, unlike a regular expression of many stars. */
const matchesPattern = (name: string, [first = '', ...rest]: readonly string[]): boolean => {
  if (!name.startsWith(first)) return false
  const last = rest.pop() ?? ''
  let from = first.length
  for (const part of rest) {
    const found = name.indexOf(part, from)
    if (found === -1) return false
    from = found + part.length
  }
  return name.length - last.length >= from && name.endsWith(last)
}
