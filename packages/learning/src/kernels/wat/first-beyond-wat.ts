import type { FloatType } from './float-type.ts'
import { advance, setEnds, whileBefore } from './snippets.ts'

/** Vectors of a turn of the loop. */
const vectors = 4

/**
 * `first_beyond_<type>(from, count, bound) → i32`: the index of the first element that is not of magnitude ≤ bound, −1 where all
 * are. NaN is of no magnitude. The vector loop stops at the first block with such an element, the other one finds it.
 */
export function firstBeyondWat({ name, bytes, lanes, vector }: FloatType): string {
  const within = (i: number) =>
    `(${vector}.le (${vector}.abs (v128.load offset=${16 * i} (local.get $from))) (local.get $bounds))`
  const all = Array.from({ length: vectors }, (_, i) => within(i)).reduce((a, b) => `(v128.and ${a}\n${b})`)
  return `
  (func (export "first_beyond_${name}") (param $from i32) (param $count i32) (param $bound ${name}) (result i32)
    (local $start i32) (local $whole i32) (local $end i32) (local $bounds v128)
    (local.set $start (local.get $from))
    (local.set $bounds (${vector}.splat (local.get $bound)))
    ${setEnds('$count', bytes, vectors * lanes)}
    ${whileBefore(
      '$whole',
      `(br_if $done (i32.eqz (${bytes === 4 ? 'i32x4' : 'i64x2'}.all_true
        ${all})))
      ${advance('$from', vectors * 16)}`,
    )}
    ${whileBefore(
      '$end',
      `(if (i32.eqz (${name}.le (${name}.abs (${name}.load (local.get $from))) (local.get $bound)))
        (then (return (i32.div_u (i32.sub (local.get $from) (local.get $start)) (i32.const ${bytes})))))
      ${advance('$from', bytes)}`,
    )}
    (i32.const -1))`
}

/** `first_above_one(from, bytes) → i32`: the index of the first byte that is neither 0 nor 1, −1 where all are. */
export function firstAboveOneWat(): string {
  const above = (i: number) =>
    `(i8x16.gt_u (v128.load offset=${16 * i} (local.get $from)) (v128.const i32x4 0x01010101 0x01010101 0x01010101 0x01010101))`
  return `
  (func (export "first_above_one") (param $from i32) (param $count i32) (result i32)
    (local $start i32) (local $whole i32) (local $end i32)
    (local.set $start (local.get $from))
    ${setEnds('$count', 1, 32)}
    ${whileBefore('$whole', `(br_if $done (v128.any_true (v128.or ${above(0)} ${above(1)})))\n${advance('$from', 32)}`)}
    ${whileBefore(
      '$end',
      `(if (i32.gt_u (i32.load8_u (local.get $from)) (i32.const 1))
        (then (return (i32.sub (local.get $from) (local.get $start)))))
      ${advance('$from', 1)}`,
    )}
    (i32.const -1))`
}
