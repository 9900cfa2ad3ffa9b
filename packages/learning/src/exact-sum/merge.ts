import { DTYPE_BYTES, type FloatDtype } from '@tributary/tensors/dtype'
import { type Manifest, weightsLayout } from '@tributary/tensors/manifest'
import { bytesOf, typedView } from '@tributary/tensors/view'
import { initialMoments, optimise } from '../server-optimiser/optimise.ts'
import {
  isOptimised,
  momentCount,
  noServerOptimiser,
  type ServerOptimiser,
} from '../server-optimiser/server-optimiser.ts'
import { Int64Sums } from './int64-sums.ts'
import { keepMaximum } from './maximum.ts'
import { addStep, allFinite } from './mean.ts'
import { type ByteRange, type MergePart, type MergePiece, planMerge } from './merge-plan.ts'
import type { SumTotals } from './shard-sum.ts'
import { checkShardSumHeader, shardSumLayout } from './shard-sum-layout.ts'
import { SumError } from './sum-error.ts'
import { exponentOf, type SumRule } from './sum-rule.ts'
import { attemptTotals } from './totals.ts'

/** A part of the new version. */
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
  readonly #sums = new Int64Sums()
  /** Largest values of the pieces of policy max, by piece. */
  readonly #maxima = new Map<MergePiece, Uint8Array>()
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
        this.#sums.add(first, typedView(from, 'I64'))
        first += averagedElements(piece)
      }
    }
  }

  /**
   * @param base the part's range of the base version; taken over and written on
   * @param totalWeight Σw over all shards
   * @param state the part's range of the state that belongs to the base; absent: the optimiser begins
   * @throws SumError RESULT_NOT_FINITE naming the tensor, SUM_WOULD_OVERFLOW, ZERO_TOTAL_WEIGHT
   */
  finish(base: Uint8Array, totalWeight: bigint, state?: Uint8Array): MergedPart {
    const part = this.#part
    checkLength(base, part.weights, 'base')
    if (state !== undefined) checkLength(state, part.state, 'optimiser state')
    if (this.#shards === 0 || totalWeight === 0n) {
      throw new SumError('ZERO_TOTAL_WEIGHT', 'no shard with updates was merged')
    }
    const weights = base
    const nextState = momentCount(this.#optimiser) === 0 ? null : new Uint8Array(part.state.end - part.state.begin)
    let first = 0
    for (const piece of part.pieces) {
      if (piece.sum === null) continue
      const into = cut(weights, piece.weights, part.weights)
      const maximum = this.#maxima.get(piece)
      if (maximum !== undefined) {
        into.set(maximum)
        continue
      }
      const { tensor } = piece
      const count = averagedElements(piece)
      const step = this.#sums.means(first, count, totalWeight, exponentOf(tensor, this.#rule))
      first += count
      try {
        if (isOptimised(tensor)) this.#optimise(piece, step, state, nextState)
        addStep(into, step, tensor.dtype as FloatDtype)
      } catch (error) {
        if (!(error instanceof SumError)) throw error
        throw new SumError(error.code, `tensor ${tensor.name}: ${error.message}`, tensor.name)
      }
    }
    return { weights, state: nextState }
  }

  /** Replaces the mean by the step, and puts the moments behind the round where they belong. */
  #optimise(
    { state: range }: MergePiece,
    step: Float64Array,
    before: Uint8Array | undefined,
    after: Uint8Array | null,
  ): void {
    if (this.#optimiser.name === 'none' && this.#optimiser.learningRate === 1) return
    let moments = initialMoments(this.#optimiser, step.length)
    if (range !== null && before !== undefined) {
      moments = new Float64Array(typedView(cut(before, range, this.#part.state), 'F64'))
    }
    optimise(this.#optimiser, step, moments)
    if (range === null || after === null) return
    if (!allFinite(moments)) throw new SumError('RESULT_NOT_FINITE', 'the state of the server optimiser is not finite')
    cut(after, range, this.#part.state).set(bytesOf(moments))
  }
}

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
 * Merges a model that fits into memory, in one part.
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
  const [part] = planMerge(manifest, Infinity) as [MergePart]
  const merge = new PartMerge(rule)
  merge.begin(part)
  const layout = shardSumLayout(manifest)
  for (const { file, updates } of shards) {
    if (updates === 0) continue
    checkShardSumHeader(file, file.byteLength, layout)
    merge.addShard(file.subarray(part.sum.begin, part.sum.end))
  }
  return merge.finish(new Uint8Array(base), weight).weights
}

function cut(bytes: Uint8Array, range: ByteRange, from: ByteRange): Uint8Array {
  return bytes.subarray(range.begin - from.begin, range.end - from.begin)
}

function checkLength(bytes: Uint8Array, { begin, end }: ByteRange, what: string): void {
  if (bytes.byteLength !== end - begin) {
    throw new RangeError(`${what}: the part spans ${end - begin} bytes, ${bytes.byteLength} were given`)
  }
}
