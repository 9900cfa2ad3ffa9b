import type { FloatDtype } from './dtype.ts'
import { bytesOf, typedView } from './view.ts'

/** An IEEE 754 interchange format of 16 bits. */
interface HalfFormat {
  readonly mantissaBits: number
  /** Exponent of the smallest normal number. */
  readonly minExponent: number
  readonly infinityBits: number
}

const F16: HalfFormat = { mantissaBits: 10, minExponent: -14, infinityBits: 0x7c00 }
const BF16: HalfFormat = { mantissaBits: 7, minExponent: -126, infinityBits: 0x7f80 }

const float32 = new Float32Array(1)
const float32Bits = new Uint32Array(float32.buffer)
const float64 = new Float64Array(1)
const float64Words = new Uint32Array(float64.buffer)

/**
 * Floating-point bytes as numbers that JavaScript can calculate with, without loss: F64 and F32 in place where aligned,
 * F16 and BF16 widened to float32.
 */
export function readFloats(bytes: Uint8Array, dtype: FloatDtype): Float64Array | Float32Array {
  if (dtype === 'F64' || dtype === 'F32') return typedView(bytes, dtype)
  const bits = typedView(bytes, dtype)
  return dtype === 'F16' ? Float32Array.from(bits, float16FromBits) : widenBfloat16(bits)
}

/** float64 numbers as bytes of a dtype, each rounded once to nearest, ties to even; beyond the largest number comes infinity. */
export function writeFloats(values: Float64Array, dtype: FloatDtype): Uint8Array {
  if (dtype === 'F64') return bytesOf(values.slice())
  if (dtype === 'F32') return bytesOf(new Float32Array(values))
  const format = dtype === 'F16' ? F16 : BF16
  return bytesOf(Uint16Array.from(values, value => halfBits(value, format)))
}

function float16FromBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const magnitude = bits & 0x7fff
  if (magnitude >= F16.infinityBits) return magnitude === F16.infinityBits ? sign * Infinity : NaN
  // Put in float32's place the exponent is 112 too small; the product is exact, subnormal numbers included.
  float32Bits[0] = magnitude << 13
  return sign * (float32[0] as number) * 2 ** 112
}

function widenBfloat16(bits: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(bits, half => (half << 16) >>> 0).buffer)
}

// Straight from float64: by way of float32 a number would be rounded twice.
function halfBits(value: number, format: HalfFormat): number {
  float64[0] = value
  const high = float64Words[1] as number
  const sign = (high >>> 16) & 0x8000
  if (Number.isNaN(value)) return sign | format.infinityBits | (1 << (format.mantissaBits - 1))
  const exponent = Math.max(((high >>> 20) & 0x7ff) - 1023, format.minExponent)
  if (exponent > 127) return sign | format.infinityBits
  const mantissa = roundTiesToEven(Math.abs(value) * 2 ** (format.mantissaBits - exponent))
  // A mantissa that rounds up to the next power of two carries into the exponent by itself.
  const bits = (exponent - format.minExponent) * 2 ** format.mantissaBits + mantissa
  return sign | Math.min(bits, format.infinityBits)
}

// Adding 2^52 leaves no bits for a fraction.
function roundTiesToEven(value: number): number {
  return value + 2 ** 52 - 2 ** 52
}
