import { advance, setEnds, whileBefore } from './snippets.ts'

// Four halves of 16 bits, each in the low half of 32.
const halves = '(v128.load16x4_u (local.get $from))'
const all = (bits: string) => `(v128.const i32x4 ${bits} ${bits} ${bits} ${bits})`

/**
 * `widen_bf16(from, into, count)` and `widen_f16`: halves to float32, exact. Up to three elements behind the last one are read and
 * written.
 */
export function widenWat(): string {
  const widen = (name: string, value: string) => `
  (func (export "widen_${name}") (param $from i32) (param $into i32) (param $count i32)
    (local $whole i32) (local $end i32) (local $bits v128) (local $magnitude v128)
    ${setEnds('$count', 2, 4)}
    ${whileBefore(
      '$end',
      `(local.set $bits ${halves})
      ${value}
      ${advance('$from', 8)}
      ${advance('$into', 16)}`,
    )})`
  // Put in float32's place a float16 has an exponent that is 112 too small; the product is exact, subnormal numbers included.
  // Infinity and NaN came out as numbers of the next exponent: they get all bits of it.
  const f16 = `
      (local.set $magnitude (i32x4.shl (v128.and (local.get $bits) ${all('0x7fff')}) (i32.const 13)))
      (v128.store (local.get $into)
        (v128.or
          (v128.or
            (f32x4.mul (local.get $magnitude) (v128.const f32x4 0x1p112 0x1p112 0x1p112 0x1p112))
            (v128.and (i32x4.ge_s (local.get $magnitude) ${all('0x0f800000')}) ${all('0x7f800000')}))
          (i32x4.shl (v128.and (local.get $bits) ${all('0x8000')}) (i32.const 16))))`
  const bf16 = '(v128.store (local.get $into) (i32x4.shl (local.get $bits) (i32.const 16)))'
  return `${widen('f16', f16)}\n${widen('bf16', bf16)}`
}
