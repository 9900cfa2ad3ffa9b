import { SumError } from '../exact-sum/sum-error.ts'
import { instantiateKernels } from './instantiate-kernels.ts'
import { allocateKernelMemory } from './kernel-memory.ts'

type MergeKernels = {
  readonly add_i64: (from: number, into: number, count: number) => number
  readonly means: (from: number, count: number, divisor: number, unit: number) => number
  readonly add_step_f32: (from: number, into: number, count: number) => number
}

/** Elements that are worked on at a time: what they need stays in a core's own cache. */
export const SLICE_ELEMENTS = 8192
const sliceBytes = 8 * SLICE_ELEMENTS
/** Memory comes in steps of so many sums, so that parts of nearly the same length share it. */
const stepElements = 2 ** 18
/** Sums within their bounds do not pass it (`sumExponent`). */
const largestSum = 2 ** 62

/**
 * What `Int64Sums` and `addStep` do, by kernels: exact sums of int64 numbers, then means in their place. The memory is used
 * again for each part of a merge.
 */
export class PartSums {
  #length = 0
  #bytes: Uint8Array = new Uint8Array(0)
  #kernels: MergeKernels | undefined

  /** Begins `length` sums; each is undefined until it is set. */
  begin(length: number): void {
    if (this.#kernels === undefined || this.#bytes.length < sliceBytes + 8 * length) {
      const memory = allocateKernelMemory(sliceBytes + 8 * stepElements * Math.ceil(length / stepElements))
      this.#bytes = new Uint8Array(memory.buffer)
      this.#kernels = instantiateKernels(memory) as MergeKernels
    }
    this.#length = length
  }

  /** Sets the sums from `first` on to the numbers of the first summand. */
  set(first: number, numbers: Uint8Array): void {
    this.#bytes.set(numbers, this.#address(first, numbers.length / 8))
  }

  /**
   * Adds one number to each sum from `first` on.
   * @throws SumError SUM_WOULD_OVERFLOW where a sum leaves int64, which those within their bounds never do
   */
  add(first: number, numbers: Uint8Array): void {
    const into = this.#address(first, numbers.length / 8)
    for (let done = 0; done < numbers.length; done += sliceBytes) {
      const slice = numbers.subarray(done, done + sliceBytes)
      this.#bytes.set(slice)
      if (this.#exports.add_i64(0, into + done, slice.length / 8) !== 0) throw beyond()
    }
  }

  /**
   * float64(Σ) / float64(totalWeight) · 2^−exponent of a range of the sums, in their place: it holds until the next `begin`.
   * @throws SumError SUM_WOULD_OVERFLOW where a sum is beyond what an attempt can add up to
   */
  means(first: number, length: number, totalWeight: bigint, exponent: number): Float64Array {
    const address = this.#address(first, length)
    if (this.#exports.means(address, length, Number(totalWeight), 2 ** -exponent) > largestSum) throw beyond()
    return new Float64Array(this.#bytes.buffer, address, length)
  }

  /**
   * Adds what lies in the place of the sums from `first` on, as float64, to at most SLICE_ELEMENTS float32 numbers; each is rounded once.
   * @param into the numbers' bytes; need not be aligned
   * @returns whether all results are finite
   */
  addStepTo(into: Uint8Array, first: number): boolean {
    if (into.length > sliceBytes / 2) throw new RangeError(`at most ${SLICE_ELEMENTS} elements at a time`)
    const count = into.length / 4
    const step = this.#address(first, count)
    this.#bytes.set(into)
    const infinite = this.#exports.add_step_f32(step, 0, count)
    into.set(this.#bytes.subarray(0, into.length))
    return infinite === 0
  }

  #address(first: number, count: number): number {
    if (!Number.isInteger(count) || first < 0 || first + count > this.#length) {
      throw new RangeError(`no ${count} sums from ${first}`)
    }
    return sliceBytes + 8 * first
  }

  get #exports(): MergeKernels {
    if (this.#kernels === undefined) throw new Error('no sums were begun')
    return this.#kernels
  }
}

const beyond = () => new SumError('SUM_WOULD_OVERFLOW', 'the sum of the shards is beyond 2^62: a shard sum is wrong')
