// Adding 1.5 · 2^52 to |x| ≤ 2^51 rounds x to a whole number, ties to even, and leaves it in the low bits of the float64:
// the bits less those of 1.5 · 2^52 are that number in two's complement.
const SHIFT = 1.5 * 2 ** 52
const SHIFT_BITS = 0x4338_0000_0000_0000n

const BLOCK = 1024
const shifted = new Float64Array(BLOCK)
const shiftedBits = new BigInt64Array(shifted.buffer)

/**
 * Adds roundTiesToEven(value · scale) to each element of a sum, exactly.
 *
 * Nothing is checked here: `UpdateCheck` has seen that |value| ≤ B, `sumExponent` that |value · scale| ≤ 2^51 then.
 * V8 compiles the BigInt arithmetic to plain 64-bit instructions, since the result is stored in 64 bits.
 * @param scale w · 2^e, exact in float64
 */
export function addQuantised(sum: BigInt64Array, values: Float32Array | Float64Array, scale: number): void {
  for (let start = 0; start < values.length; start += BLOCK) {
    const length = Math.min(BLOCK, values.length - start)
    for (let i = 0; i < length; i += 1) shifted[i] = (values[start + i] as number) * scale + SHIFT
    for (let i = 0; i < length; i += 1) {
      sum[start + i] = (sum[start + i] as bigint) + (shiftedBits[i] as bigint) - SHIFT_BITS
    }
  }
}
