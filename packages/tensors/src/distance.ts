import { type Dtype, isFloatDtype } from './dtype.ts'
import { readFloats } from './floats.ts'
import { typedView } from './view.ts'

/** How far two tensors of one dtype and shape are apart. */
export interface Distance {
  /** Σ (a − b)², Σ a², Σ b², Σ a·b in float64. */
  readonly squares: number
  readonly aSquares: number
  readonly bSquares: number
  readonly product: number
  /** max |a − b|. */
  readonly most: number
}

export const noDistance: Distance = { squares: 0, aSquares: 0, bSquares: 0, product: 0, most: 0 }

/**
 * Distance of equally long runs of elements, in place. Integers count as the numbers that they are; beyond 2^53 they are rounded.
 * What is not a number makes every sum that it enters one.
 */
export function distanceOf(a: Uint8Array, b: Uint8Array, dtype: Dtype): Distance {
  const left = numbers(a, dtype)
  const right = numbers(b, dtype)
  let squares = 0
  let aSquares = 0
  let bSquares = 0
  let product = 0
  let most = 0
  for (let index = 0; index < left.length; index += 1) {
    const x = left[index] as number
    const y = right[index] as number
    const difference = x - y
    squares += difference * difference
    aSquares += x * x
    bSquares += y * y
    product += x * y
    most = Math.max(most, Math.abs(difference))
  }
  return { squares, aSquares, bSquares, product, most }
}

/** The distance of two runs together. */
export function addDistance(one: Distance, other: Distance): Distance {
  return {
    squares: one.squares + other.squares,
    aSquares: one.aSquares + other.aSquares,
    bSquares: one.bSquares + other.bSquares,
    product: one.product + other.product,
    most: Math.max(one.most, other.most),
  }
}

function numbers(bytes: Uint8Array, dtype: Dtype): ArrayLike<number> {
  if (isFloatDtype(dtype)) return readFloats(bytes, dtype)
  if (dtype === 'I64') return Float64Array.from(typedView(bytes, dtype), Number)
  return typedView(bytes, dtype)
}
