import { SQUARE_LANES } from '../square-lanes.ts'
import type { FloatType } from './float-type.ts'
import { advance, setEnds, unrolled, whileBefore } from './snippets.ts'

/**
 * `add_squares_<type>(from, count, lanes)`: adds the squares of elements, in float64, to the eight sums at `lanes`, element i to
 * sum i mod 8. The order is fixed, so every machine finds the same bits; eight additions that do not wait for each other are
 * several times as fast as one after the other.
 */
export function addSquaresWat({ name, bytes, pair, single }: FloatType): string {
  const pairs = SQUARE_LANES / 2
  return `
  (func (export "add_squares_${name}") (param $from i32) (param $count i32) (param $lanes i32)
    (local $whole i32) (local $end i32) (local $pair v128)
    ${unrolled(pairs, i => `(local $sum${i} v128)`)}
    ${unrolled(pairs, i => `(local.set $sum${i} (v128.load offset=${16 * i} (local.get $lanes)))`)}
    ${setEnds('$count', bytes, SQUARE_LANES)}
    ${whileBefore(
      '$whole',
      `${unrolled(
        pairs,
        i => `
      (local.set $pair ${pair(2 * bytes * i)})
      (local.set $sum${i} (f64x2.add (local.get $sum${i}) (f64x2.mul (local.get $pair) (local.get $pair))))`,
      )}
      ${advance('$from', SQUARE_LANES * bytes)}`,
    )}
    ${unrolled(pairs, i => `(v128.store offset=${16 * i} (local.get $lanes) (local.get $sum${i}))`)}
    ${whileBefore(
      '$end',
      `(f64.store (local.get $lanes) (f64.add (f64.load (local.get $lanes)) (f64.mul ${single} ${single})))
      ${advance('$from', bytes)}
      ${advance('$lanes', 8)}`,
    )})`
}
