import { advance, setEnds, whileBefore } from './snippets.ts'

const from = '(v128.load (local.get $from))'
const into = '(v128.load (local.get $into))'

// Sign and magnitude to an integer that sorts like the float: negative ones have the other bits turned round.
const halfOrder = (bits: string) =>
  `(v128.xor ${bits} (v128.and (i16x8.shr_s ${bits} (i32.const 15)) (v128.const i32x4 0x7fff7fff 0x7fff7fff 0x7fff7fff 0x7fff7fff)))`

/** The larger of two vectors, lane by lane; by kind of element. +0 is larger than −0. */
const larger = {
  f64: `(f64x2.max ${from} ${into})`,
  f32: `(f32x4.max ${from} ${into})`,
  half: `(v128.bitselect ${from} ${into} (i16x8.gt_s ${halfOrder(from)} ${halfOrder(into)}))`,
  i64: `(v128.bitselect ${from} ${into} (i64x2.gt_s ${from} ${into}))`,
  i32: `(i32x4.max_s ${from} ${into})`,
  i16: `(i16x8.max_s ${from} ${into})`,
  i8: `(i8x16.max_s ${from} ${into})`,
  u8: `(i8x16.max_u ${from} ${into})`,
}

/**
 * `max_<kind>(from, into, bytes)`: keeps the larger of two elements at each place of `into`. The last vector may reach behind both
 * ranges: up to 15 bytes there are read, and those behind `into` are written again as they were.
 */
export function keepMaximumWat(): string {
  return Object.entries(larger)
    .map(
      ([kind, vector]) => `
  (func (export "max_${kind}") (param $from i32) (param $into i32) (param $bytes i32)
    (local $whole i32) (local $end i32)
    ${setEnds('$bytes', 1, 16)}
    ${whileBefore(
      '$whole',
      `(v128.store (local.get $into) ${vector})
      ${advance('$from', 16)}
      ${advance('$into', 16)}`,
    )}
    (if (i32.lt_u (local.get $from) (local.get $end))
      (then (v128.store (local.get $into)
        (v128.bitselect
          ${vector}
          ${into}
          (i8x16.lt_u
            (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
            (i8x16.splat (i32.sub (local.get $end) (local.get $from)))))))))`,
    )
    .join('\n')
}
