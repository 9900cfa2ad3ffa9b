import type { Size } from './values.ts'

/** A shape as Reshape takes it, with −1 for the one size that may vary; undefined where more vary, or none can be told. */
export const staticShape = (shape: readonly Size[]): number[] | undefined => {
  const target = shape.map(size => (typeof size === 'number' ? size : -1))
  return target.filter(size => size === -1).length <= 1 && !target.includes(0) ? target : undefined
}

/** The number of rows that all axes but the last one make; undefined where it is not a multiple of the batch's size. */
export const rowCount = (shape: readonly Size[]): Size | undefined => {
  let fixed = 1
  let perExample: number | undefined
  for (const size of shape.slice(0, -1)) {
    if (size === 'unknown') return undefined
    if (typeof size === 'number') fixed *= size
    else if (perExample === undefined) perExample = size.perExample
    else return undefined
  }
  return perExample === undefined ? fixed : { perExample: perExample * fixed }
}
