import { DTYPE_BYTES, type Dtype, type FloatDtype } from '@tributary/tensors/dtype'
import { instantiateKernels } from './instantiate-kernels.ts'
import { SQUARE_LANES, totalOfLanes } from './square-lanes.ts'
import type { KernelMemory } from './web-assembly.ts'

type MaximumKind = 'f64' | 'f32' | 'half' | 'i64' | 'i32' | 'i16' | 'i8' | 'u8'
type KeepMaximum = (from: number, into: number, bytes: number) => void
type Widen = (from: number, into: number, count: number) => void

/** What the module exports; addresses and lengths in bytes, counts in elements. */
type KernelExports = {
  readonly [Name in `add_${'f32' | 'f64'}`]: (from: number, into: number, count: number, scale: number) => void
} & {
  readonly [Name in `first_beyond_${'f32' | 'f64'}`]: (from: number, count: number, bound: number) => number
} & {
  readonly [Name in `add_squares_${'f32' | 'f64'}`]: (from: number, count: number, lanes: number) => void
} & { readonly [Name in `max_${MaximumKind}`]: KeepMaximum } & {
  readonly [Name in `widen_${'f16' | 'bf16'}`]: Widen
} & { readonly first_above_one: (from: number, bytes: number) => number }

const MAXIMUM_KIND: { readonly [D in Dtype]: MaximumKind } = {
  F64: 'f64',
  F32: 'f32',
  F16: 'half',
  BF16: 'half',
  I64: 'i64',
  I32: 'i32',
  I16: 'i16',
  I8: 'i8',
  U8: 'u8',
  BOOL: 'u8',
}

const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127

/** Vectors may reach so far behind a range, to read and to write what is there again. */
export const KERNEL_SLACK_BYTES = 16

/** Bytes that `Kernels` needs to widen slices of `sliceBytes`. */
export function scratchBytes(sliceBytes: number): number {
  return SQUARE_LANES * 8 + 2 * sliceBytes + KERNEL_SLACK_BYTES
}

/**
 * The arithmetic of updates and sums on ranges of one memory, by address. Ranges must lie within the memory, with
 * KERNEL_SLACK_BYTES behind them; elements need no alignment. One thread at a time may work on a range.
 */
export class Kernels {
  /** The whole memory. */
  readonly bytes: Uint8Array
  readonly #kernels: KernelExports
  readonly #lanes: Float64Array
  readonly #lanesAt: number
  readonly #widened: number

  /** @param scratch a multiple of 8: where `scratchBytes` of the memory are its own */
  constructor(memory: KernelMemory, scratch: number) {
    this.bytes = new Uint8Array(memory.buffer)
    this.#kernels = instantiateKernels(memory) as KernelExports
    this.#lanesAt = scratch
    this.#lanes = new Float64Array(memory.buffer, scratch, SQUARE_LANES)
    this.#widened = scratch + SQUARE_LANES * 8
  }

  /**
   * Adds roundTiesToEven(element · scale) to int64 sums, exactly.
   *
   * Nothing is checked here: |element| ≤ B was found before, and `sumExponent` sees to |element · scale| ≤ 2^51.
   * @param into address of as many int64
   * @param scale w · 2^e, exact in float64
   */
  addQuantised(dtype: FloatDtype, from: number, into: number, count: number, scale: number): void {
    const values = this.#floats(dtype, from, count)
    this.#kernels[dtype === 'F64' ? 'add_f64' : 'add_f32'](values, into, count, scale)
  }

  /** Index of the first element that is NaN or of a magnitude beyond `bound`; −1 where none is. */
  firstBeyond(dtype: FloatDtype, from: number, count: number, bound: number): number {
    const values = this.#floats(dtype, from, count)
    if (dtype === 'F64') return this.#kernels.first_beyond_f64(values, count, bound)
    return this.#kernels.first_beyond_f32(values, count, Math.min(bound, LARGEST_FLOAT32))
  }

  /** Index of the first byte that is neither 0 nor 1; −1 where none is. */
  firstAboveOne(from: number, bytes: number): number {
    return this.#kernels.first_above_one(from, bytes)
  }

  /** Begins a sum of squares. */
  clearSquares(): void {
    this.#lanes.fill(0)
  }

  /** Adds squares; only the last slice of a tensor may have a count that is no multiple of 8. */
  addSquares(dtype: FloatDtype, from: number, count: number): void {
    const values = this.#floats(dtype, from, count)
    this.#kernels[dtype === 'F64' ? 'add_squares_f64' : 'add_squares_f32'](values, count, this.#lanesAt)
  }

  /** Σx² since `clearSquares`, in float64: element i in sum i mod 8, these added in one order. */
  squares(): number {
    return totalOfLanes(this.#lanes)
  }

  /** Keeps the larger of two elements at each place of `into`; +0 is larger than −0. NaN must have been refused before. */
  keepMaximum(dtype: Dtype, from: number, into: number, bytes: number): void {
    this.#kernels[`max_${MAXIMUM_KIND[dtype]}`](from, into, bytes)
  }

  /** One element as a number. */
  element(dtype: FloatDtype, from: number, index: number): number {
    const values = this.#floats(dtype, from + index * DTYPE_BYTES[dtype], 1)
    const view = new DataView(this.bytes.buffer, values, 8)
    return dtype === 'F64' ? view.getFloat64(0, true) : view.getFloat32(0, true)
  }

  /** Address of the elements as float32 or float64: where they are, or widened. */
  #floats(dtype: FloatDtype, from: number, count: number): number {
    if (dtype === 'F64' || dtype === 'F32') return from
    this.#kernels[dtype === 'F16' ? 'widen_f16' : 'widen_bf16'](from, this.#widened, count)
    return this.#widened
  }
}
