/** first, first + 1, … */
export const numbersFrom = (first: number, count: number): Float64Array =>
  Float64Array.from({ length: count }, (_, index) => first + index)
