import { InferenceError } from '../inference-error.ts'

const mostNameCharacters = 256

/** Whether parsed JSON is an object, and no list. */
export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The name of a tensor. Throws InferenceError MALFORMED. */
export const readName = (value: unknown): string => {
  if (typeof value === 'string' && value.length > 0 && value.length <= mostNameCharacters) return value
  throw new InferenceError('MALFORMED', `A tensor's "name" must be a text of 1 to ${mostNameCharacters} characters.`)
}
