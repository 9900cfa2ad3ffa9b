import { advance, setEnds, unrolled, whileBefore } from './snippets.ts'

/** Elements of a turn of the loops. */
const block = 8

const add = (offset: number) => `
    (local.set $before (v128.load offset=${offset} (local.get $into)))
    (local.set $other (v128.load offset=${offset} (local.get $from)))
    (local.set $sum (i64x2.add (local.get $before) (local.get $other)))
    (local.set $over (v128.or (local.get $over)
      (v128.and
        (v128.xor (local.get $before) (local.get $sum))
        (v128.xor (local.get $other) (local.get $sum)))))
    (v128.store offset=${offset} (local.get $into) (local.get $sum))`

/**
 * `add_i64(from, into, count) → i32`: adds int64 to int64; 1 where a sum left the range of int64, which shows in a sign that
 * differs from that of both summands.
 */
export function addInt64Wat(): string {
  return `
  (func (export "add_i64") (param $from i32) (param $into i32) (param $count i32) (result i32)
    (local $whole i32) (local $end i32) (local $before v128) (local $other v128) (local $sum v128) (local $over v128)
    (local $old i64) (local $one i64) (local $new i64) (local $last i64)
    ${setEnds('$count', 8, block)}
    ${whileBefore(
      '$whole',
      `${unrolled(block / 2, i => add(16 * i))}
      ${advance('$from', block * 8)}
      ${advance('$into', block * 8)}`,
    )}
    ${whileBefore(
      '$end',
      `(local.set $old (i64.load (local.get $into)))
      (local.set $one (i64.load (local.get $from)))
      (local.set $new (i64.add (local.get $old) (local.get $one)))
      (local.set $last (i64.or (local.get $last)
        (i64.and
          (i64.xor (local.get $old) (local.get $new))
          (i64.xor (local.get $one) (local.get $new)))))
      (i64.store (local.get $into) (local.get $new))
      ${advance('$from', 8)}
      ${advance('$into', 8)}`,
    )}
    (i32.or
      (i64.lt_s (local.get $last) (i64.const 0))
      (v128.any_true (i64x2.lt_s (local.get $over) (v128.const i64x2 0 0)))))`
}

const both = (bits: string) => `(v128.const i64x2 ${bits} ${bits})`

// SIMD has no conversion of int64. The low half put behind the exponent of 2^52 is 2^52 + low; the high one, its sign turned,
// behind that of 2^84 is 2^84 + 2^63 + high · 2^32. Less 2^84 + 2^63 + 2^52 that is exact, so only the last addition rounds.
const mean = (offset: number) => `
    (local.set $pair (v128.load offset=${offset} (local.get $from)))
    (local.set $pair (f64x2.add
      (f64x2.sub
        (v128.xor (i64x2.shr_u (local.get $pair) (i32.const 32)) ${both('0x4530000080000000')})
        ${both('0x4530000080100000')})
      (v128.or (v128.and (local.get $pair) ${both('0xffffffff')}) ${both('0x4330000000000000')})))
    (local.set $largest (f64x2.pmax (local.get $largest) (f64x2.abs (local.get $pair))))
    (v128.store offset=${offset} (local.get $from)
      (f64x2.mul (f64x2.div (local.get $pair) (local.get $divisors)) (local.get $units)))`

/** `means(from, count, divisor, unit) → f64`: int64 sums become float64(sum) / divisor · unit in their place; the largest |sum|. */
export function meansWat(): string {
  return `
  (func (export "means") (param $from i32) (param $count i32) (param $divisor f64) (param $unit f64) (result f64)
    (local $whole i32) (local $end i32) (local $pair v128) (local $largest v128) (local $divisors v128) (local $units v128)
    (local $one f64) (local $most f64)
    (local.set $divisors (f64x2.splat (local.get $divisor)))
    (local.set $units (f64x2.splat (local.get $unit)))
    ${setEnds('$count', 8, block)}
    ${whileBefore('$whole', `${unrolled(block / 2, i => mean(16 * i))}\n${advance('$from', block * 8)}`)}
    ${whileBefore(
      '$end',
      `(local.set $one (f64.convert_i64_s (i64.load (local.get $from))))
      (local.set $most (f64.max (local.get $most) (f64.abs (local.get $one))))
      (f64.store (local.get $from) (f64.mul (f64.div (local.get $one) (local.get $divisor)) (local.get $unit)))
      ${advance('$from', 8)}`,
    )}
    (f64.max (local.get $most)
      (f64.max
        (f64x2.extract_lane 0 (local.get $largest))
        (f64x2.extract_lane 1 (local.get $largest)))))`
}

const next = (offset: number) =>
  `(f32x4.demote_f64x2_zero (f64x2.add
      (f64x2.promote_low_f32x4 (v128.load64_zero offset=${offset} (local.get $into)))
      (v128.load offset=${2 * offset} (local.get $from))))`

const addStep = (offset: number) => `
    (local.set $sum (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 ${next(offset)} ${next(offset + 8)}))
    (local.set $rest (v128.or (local.get $rest) (f32x4.sub (local.get $sum) (local.get $sum))))
    (v128.store offset=${offset} (local.get $into) (local.get $sum))`

/**
 * `add_step_f32(from, into, count) → i32`: adds float64 steps to float32 numbers, rounding once; 1 where a result is not finite: x − x
 * is then NaN, and otherwise +0, which has no bits.
 */
export function addStepWat(): string {
  return `
  (func (export "add_step_f32") (param $from i32) (param $into i32) (param $count i32) (result i32)
    (local $whole i32) (local $end i32) (local $sum v128) (local $rest v128) (local $one f32) (local $last i32)
    ${setEnds('$count', 8, block)}
    ${whileBefore(
      '$whole',
      `${unrolled(block / 4, i => addStep(16 * i))}
      ${advance('$from', block * 8)}
      ${advance('$into', block * 4)}`,
    )}
    ${whileBefore(
      '$end',
      `(local.set $one (f32.demote_f64
        (f64.add (f64.promote_f32 (f32.load (local.get $into))) (f64.load (local.get $from)))))
      (local.set $last (i32.or (local.get $last) (i32.reinterpret_f32 (f32.sub (local.get $one) (local.get $one)))))
      (f32.store (local.get $into) (local.get $one))
      ${advance('$from', 8)}
      ${advance('$into', 4)}`,
    )}
    (i32.or (i32.ne (local.get $last) (i32.const 0)) (v128.any_true (local.get $rest))))`
}
