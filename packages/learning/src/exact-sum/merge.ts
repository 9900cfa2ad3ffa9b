import { DTYPE_BYTES, type FloatDtype } from '@tributary/tensors/dtype'
import { type Manifest, weightsLayout } from '@tributary/tensors/manifest'
import { bytesOf, typedView } from '@tributary/tensors/view'
import { PartSums, SLICE_ELEMENTS } from '../kernels/part-sums.ts'
import { beginMoments, optimise } from '../server-optimiser/optimise.ts'
import {
  isOptimised,
  momentCount,
  noServerOptimiser,
  type ServerOptimiser,
} from '../server-optimiser/server-optimiser.ts'
import { keepMaximum } from './maximum.ts'
import { addStep, allFinite, resultNotFinite } from './mean.ts'
import { type ByteRange, type MergePart, type MergePiece, planMerge } from './merge-plan.ts'
import type { SumTotals } from './shard-sum.ts'
import { checkShardSumHeader, shardSumLayout } from './shard-sum-layout.ts'
import { SumError } from './sum-error.ts'
import { exponentOf, type SumRule } from './sum-rule.ts'
import { attemptTotals } from './totals.ts'

/** Of the version file at a time, where a model is in memory as a whole. */
const partBytes = 2 * 1024 * 1024

/** A part of the new version; its bytes hold until the next part begins. */
export interface MergedPart {
  /** The part's range of the version file. */
  readonly weights: Uint8Array
  /** The part's range of the optimiser's state; `null` for an optimiser that keeps nothing. */
  readonly state: Uint8Array | null
}

/**
 * Merges parts one after the other: `begin` one, give it that part of every shard sum, in any order, then the base. Holds one
 * part at a time, in memory that it uses again.
 */
export class PartMerge {
  readonly #rule: SumRule
  readonly #optimiser: ServerOptimiser
  readonly #sums = new PartSums()
  /** Largest values of the pieces of policy max, by piece. */
  readonly #maxima = new Map<MergePiece, Uint8Array>()
  /** Memory of the state of an optimiser that begins. */
  #begun = new Float64Array(0)
  #part: MergePart = emptyPart
  #shards = 0

  constructor(rule: SumRule, optimiser: ServerOptimiser = noServerOptimiser) {
    this.#rule = rule
    this.#optimiser = optimiser
  }

  begin(part: MergePart): void {
    this.#part = part
    this.#shards = 0
    this.#maxima.clear()
    this.#sums.begin(part.pieces.reduce((count, piece) => count + averagedElements(piece), 0))
  }

  /**
   * Adds a shard; those without updates are left out by the caller.
   * @param bytes the part's `sum` range of the shard sum
   */
  addShard(bytes: Uint8Array): void {
    checkLength(bytes, this.#part.sum, 'shard sum')
    this.#shards += 1
    let first = 0
    for (const piece of this.#part.pieces) {
      if (piece.sum === null) continue
      const from = cut(bytes, piece.sum, this.#part.sum)
      if (piece.tensor.policy === 'max') {
        const into = this.#maxima.get(piece)
        // A copy has a buffer of its own, so it is aligned.
        if (into === undefined) this.#maxima.set(piece, new Uint8Array(from))
        else keepMaximum(into, from, piece.tensor.dtype)
      } else {
        if (this.#shards === 1) this.#sums.set(first, from)
        else this.#sums.add(first, from)
        first += averagedElements(piece)
      }
    }
  }

  /**
   * @param base the part's range of the base version; taken over and written on
   * @param totalWeight Σw over all shards
   * @param state the part's range of the state that belongs to the base; taken over and written on; absent: the optimiser begins
   * @throws SumError RESULT_NOT_FINITE naming the tensor, SUM_WOULD_OVERFLOW, ZERO_TOTAL_WEIGHT
   */
  finish(base: Uint8Array, totalWeight: bigint, state?: Uint8Array): MergedPart {
    const part = this.#part
    checkLength(base, part.weights, 'base')
    if (state !== undefined) checkLength(state, part.state, 'optimiser state')
    if (this.#shards === 0 || totalWeight === 0n) {
      throw new SumError('ZERO_TOTAL_WEIGHT', 'no shard with updates was merged')
    }
    const nextState = this.#nextState(state)
    let first = 0
    for (const piece of part.pieces) {
      if (piece.sum === null) continue
      const into = cut(base, piece.weights, part.weights)
      const maximum = this.#maxima.get(piece)
      if (maximum !== undefined) {
        into.set(maximum)
        continue
      }
      try {
        this.#step(piece, first, into, totalWeight, nextState)
      } catch (error) {
        if (!(error instanceof SumError)) throw error
        throw new SumError(error.code, `tensor ${piece.tensor.name}: ${error.message}`, piece.tensor.name)
      }
      first += averagedElements(piece)
    }
    return { weights: base, state: nextState }
  }

  /** The state of the part, to be written on: that of the base, or the beginning. */
  #nextState(before: Uint8Array | undefined): Uint8Array | null {
    if (momentCount(this.#optimiser) === 0) return null
    if (before !== undefined) return before
    const { begin, end } = this.#part.state
    const bytes = end - begin
    if (this.#begun.byteLength < bytes) this.#begun = new Float64Array(bytes / DTYPE_BYTES.F64)
    const moments = this.#begun.subarray(0, bytes / DTYPE_BYTES.F64)
    beginMoments(this.#optimiser, moments)
    return bytesOf(moments)
  }

  /** Slice by slice, so that mean, step and result of an element are made while it lies in the cache. */
  #step(piece: MergePiece, first: number, into: Uint8Array, totalWeight: bigint, state: Uint8Array | null): void {
    const { tensor, state: range } = piece
    const dtype = tensor.dtype as FloatDtype
    const size = DTYPE_BYTES[dtype]
    const exponent = exponentOf(tensor, this.#rule)
    const moments = range === null || state === null ? null : cut(state, range, this.#part.state)
    const momentBytes = DTYPE_BYTES.F64 * momentCount(this.#optimiser)
    const elements = averagedElements(piece)
    for (let done = 0; done < elements; done += SLICE_ELEMENTS) {
      const count = Math.min(SLICE_ELEMENTS, elements - done)
      const step = this.#sums.means(first + done, count, totalWeight, exponent)
      if (isOptimised(tensor)) {
        this.#optimise(step, moments?.subarray(done * momentBytes, (done + count) * momentBytes) ?? noMoments)
      }
      const values = into.subarray(done * size, (done + count) * size)
      if (dtype !== 'F32') addStep(values, step, dtype)
      else if (!this.#sums.addStepTo(values, first + done)) throw resultNotFinite(dtype)
    }
  }

  /** Replaces the mean by the step, and the moments by those behind the round. */
  #optimise(step: Float64Array, bytes: Uint8Array): void {
    if (this.#optimiser.name === 'none' && this.#optimiser.learningRate === 1) return
    const moments = typedView(bytes, 'F64')
    optimise(this.#optimiser, step, moments)
    if (!allFinite(moments)) throw new SumError('RESULT_NOT_FINITE', 'the state of the server optimiser is not finite')
    // What is not aligned was copied.
    if (moments.buffer !== bytes.buffer) bytes.set(bytesOf(moments))
  }
}

const noMoments = new Uint8Array(0)

const emptyPart: MergePart = {
  number: 0,
  weights: { begin: 0, end: 0 },
  sum: { begin: 0, end: 0 },
  state: { begin: 0, end: 0 },
  pieces: [],
}

function averagedElements({ tensor, sum }: MergePiece): number {
  return sum === null || tensor.policy !== 'average' ? 0 : (sum.end - sum.begin) / DTYPE_BYTES.I64
}

/**
 * Merges a model that fits into memory.
 * @param base the weights file of the base version
 * @param shards shard-sum files with their totals; those without updates are skipped and may be empty files
 * @returns the weights file of the new version
 * @throws SumError
 */
export function mergeModel(
  manifest: Manifest,
  rule: SumRule,
  base: Uint8Array,
  shards: readonly (SumTotals & { readonly file: Uint8Array })[],
): Uint8Array {
  const { header, fileBytes } = weightsLayout(manifest)
  if (base.byteLength !== fileBytes || !header.every((byte, i) => byte === base[i])) {
    throw new RangeError('the base is not the weights file of this manifest: header or size differ')
  }
  const { weight } = attemptTotals(shards, rule)
  const layout = shardSumLayout(manifest)
  const sums = shards.filter(({ updates }) => updates > 0)
  for (const { file } of sums) checkShardSumHeader(file, file.byteLength, layout)
  const next = new Uint8Array(base)
  const merge = new PartMerge(rule)
  for (const part of planMerge(manifest, partBytes)) {
    merge.begin(part)
    for (const { file } of sums) merge.addShard(file.subarray(part.sum.begin, part.sum.end))
    merge.finish(next.subarray(part.weights.begin, part.weights.end), weight)
  }
  return next
}

function cut(bytes: Uint8Array, range: ByteRange, from: ByteRange): Uint8Array {
  return bytes.subarray(range.begin - from.begin, range.end - from.begin)
}

function checkLength(bytes: Uint8Array, { begin, end }: ByteRange, what: string): void {
  if (bytes.byteLength !== end - begin) {
    throw new RangeError(`${what}: the part spans ${end - begin} bytes, ${bytes.byteLength} were given`)
  }
}
