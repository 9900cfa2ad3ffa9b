import type { FloatType } from './float-type.ts'
import { advance, setEnds, unrolled, whileBefore } from './snippets.ts'

/** Elements of a turn of the loop; more do not make it faster. */
const block = 8

/**
 * `add_<type>(from, into, count, scale)`: adds roundTiesToEven(element · scale) to int64 accumulators, exactly.
 *
 * 1.5 · 2^52 added to a number of magnitude ≤ 2^51 leaves no bits for a fraction, so the addition rounds to a whole number, ties
 * to even; the bits less those of 1.5 · 2^52 are that number in two's complement.
 */
export function addQuantisedWat(type: FloatType): string {
  const { name, bytes, pair, single } = type
  const sum = (offset: number) => `
    (v128.store offset=${offset} (local.get $into)
      (i64x2.add
        (v128.load offset=${offset} (local.get $into))
        (i64x2.sub
          (f64x2.add (f64x2.mul ${pair(2 * bytes * (offset / 16))} (local.get $scales)) (v128.const f64x2 0x1.8p52 0x1.8p52))
          (v128.const i64x2 0x4338000000000000 0x4338000000000000))))`
  return `
  (func (export "add_${name}") (param $from i32) (param $into i32) (param $count i32) (param $scale f64)
    (local $whole i32) (local $end i32) (local $scales v128)
    (local.set $scales (f64x2.splat (local.get $scale)))
    ${setEnds('$count', bytes, block)}
    ${whileBefore(
      '$whole',
      `${unrolled(block / 2, i => sum(16 * i))}
      ${advance('$from', block * bytes)}
      ${advance('$into', block * 8)}`,
    )}
    ${whileBefore(
      '$end',
      `(i64.store (local.get $into)
        (i64.add
          (i64.load (local.get $into))
          (i64.sub
            (i64.reinterpret_f64 (f64.add (f64.mul ${single} (local.get $scale)) (f64.const 0x1.8p52)))
            (i64.const 0x4338000000000000))))
      ${advance('$from', bytes)}
      ${advance('$into', 8)}`,
    )})`
}
