import type { FloatDtype } from '@tributary/tensors/dtype'
import { type Manifest, weightsLayout } from '@tributary/tensors/manifest'
import { typedView } from '@tributary/tensors/view'
import { addSums } from './add-sums.ts'
import { keepMaximum } from './maximum.ts'
import { addStep, meanDelta } from './mean.ts'
import { type ByteRange, type MergePart, type MergePiece, planMerge } from './merge-plan.ts'
import type { SumTotals } from './shard-sum.ts'
import { checkShardSumHeader, shardSumLayout } from './shard-sum-layout.ts'
import { SumError } from './sum-error.ts'
import { exponentOf, type SumRule } from './sum-rule.ts'
import { attemptTotals } from './totals.ts'

/** Merges one part: give it that part of every shard sum, in any order, then the base. Holds one part at a time. */
export class PartMerge {
  readonly #part: MergePart
  readonly #rule: SumRule
  /** Σ of the pieces that are summed, by piece. */
  readonly #sums = new Map<MergePiece, Uint8Array>()
  #shards = 0

  constructor(part: MergePart, rule: SumRule) {
    this.#part = part
    this.#rule = rule
  }

  /**
   * Adds a shard; those without updates are left out by the caller.
   * @param bytes the part's `sum` range of the shard sum
   * @throws SumError SUM_WOULD_OVERFLOW
   */
  addShard(bytes: Uint8Array): void {
    checkLength(bytes, this.#part.sum, 'shard sum')
    this.#shards += 1
    for (const piece of this.#part.pieces) {
      if (piece.sum === null) continue
      const from = cut(bytes, piece.sum, this.#part.sum)
      const into = this.#sums.get(piece)
      // A copy has a buffer of its own, so it is aligned.
      if (into === undefined) this.#sums.set(piece, new Uint8Array(from))
      else if (piece.tensor.policy === 'max') keepMaximum(into, from, piece.tensor.dtype)
      else addSums(typedView(into, 'I64'), typedView(from, 'I64'))
    }
  }

  /**
   * The part's range of the new version file.
   * @param base the same range of the base version
   * @param totalWeight Σw over all shards
   * @throws SumError RESULT_NOT_FINITE naming the tensor, ZERO_TOTAL_WEIGHT
   */
  finish(base: Uint8Array, totalWeight: bigint): Uint8Array {
    checkLength(base, this.#part.weights, 'base')
    if (this.#shards === 0 || totalWeight === 0n) {
      throw new SumError('ZERO_TOTAL_WEIGHT', 'no shard with updates was merged')
    }
    const next = new Uint8Array(base)
    for (const piece of this.#part.pieces) {
      const sum = this.#sums.get(piece)
      if (sum === undefined) continue
      const value = piece.tensor.policy === 'max' ? sum : this.#average(piece, sum, base, totalWeight)
      next.set(value, piece.weights.begin - this.#part.weights.begin)
    }
    return next
  }

  #average({ tensor, weights }: MergePiece, sum: Uint8Array, base: Uint8Array, totalWeight: bigint): Uint8Array {
    const mean = meanDelta(typedView(sum, 'I64'), totalWeight, exponentOf(tensor, this.#rule))
    try {
      return addStep(cut(base, weights, this.#part.weights), mean, tensor.dtype as FloatDtype)
    } catch (error) {
      if (!(error instanceof SumError)) throw error
      throw new SumError(error.code, `tensor ${tensor.name}: ${error.message}`, tensor.name)
    }
  }
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
  const merge = new PartMerge(part, rule)
  const layout = shardSumLayout(manifest)
  for (const { file, updates } of shards) {
    if (updates === 0) continue
    checkShardSumHeader(file, file.byteLength, layout)
    merge.addShard(file.subarray(part.sum.begin, part.sum.end))
  }
  return merge.finish(base, weight)
}

function cut(bytes: Uint8Array, range: ByteRange, from: ByteRange): Uint8Array {
  return bytes.subarray(range.begin - from.begin, range.end - from.begin)
}

function checkLength(bytes: Uint8Array, { begin, end }: ByteRange, what: string): void {
  if (bytes.byteLength !== end - begin) {
    throw new RangeError(`${what}: the part spans ${end - begin} bytes, ${bytes.byteLength} were given`)
  }
}
