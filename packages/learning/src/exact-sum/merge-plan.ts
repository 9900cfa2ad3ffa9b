import { DTYPE_BYTES } from '@tributary/tensors/dtype'
import { type Manifest, type ManifestTensor, weightsLayout } from '@tributary/tensors/manifest'
import type { PlacedTensor } from '@tributary/tensors/tensor'
import { noServerOptimiser, type ServerOptimiser } from '../server-optimiser/server-optimiser.ts'
import { optimiserStateLayout, stateEntry } from '../server-optimiser/state-layout.ts'
import { elementsOf, shardSumEntry, shardSumLayout } from './shard-sum-layout.ts'

/** Bytes from `begin` up to, not including, `end` of a file. */
export interface ByteRange {
  readonly begin: number
  readonly end: number
}

/** A range of one tensor. */
export interface MergePiece {
  readonly tensor: ManifestTensor
  /** In the version file, the same before and after. */
  readonly weights: ByteRange
  /** In every shard sum; `null` where the tensor is not summed. */
  readonly sum: ByteRange | null
  /** In the state of the server optimiser; `null` where the tensor has none. */
  readonly state: ByteRange | null
}

/** What is merged at a time: one contiguous range of the version file from one contiguous range of each shard sum. */
export interface MergePart {
  /** From 1, as in a multipart upload. */
  readonly number: number
  /** The first part begins with the header. */
  readonly weights: ByteRange
  /** Empty where nothing of the part is summed. */
  readonly sum: ByteRange
  /** Of the optimiser's state, without its header; empty where nothing of the part has any. */
  readonly state: ByteRange
  readonly pieces: readonly MergePiece[]
}

/**
 * Cuts a merge into parts of about `partBytes` of the version file (up to an element less, the last whatever is left).
 * Parts are independent, so a merge can be resumed by part, and memory follows the part, not the model.
 */
export function planMerge(
  manifest: Manifest,
  partBytes: number,
  optimiser: ServerOptimiser = noServerOptimiser,
): MergePart[] {
  const weights = weightsLayout(manifest)
  const sums = shardSumLayout(manifest)
  const states = optimiserStateLayout(manifest, optimiser)
  const parts: MergePart[] = []
  let pieces: MergePiece[] = []
  let begin = 0
  let end = weights.header.byteLength
  let sumBegin = sums.header.byteLength
  let sumEnd = sumBegin
  let stateBegin = states?.header.byteLength ?? 0
  let stateEnd = stateBegin

  const close = () => {
    parts.push({
      number: parts.length + 1,
      weights: { begin, end },
      sum: { begin: sumBegin, end: sumEnd },
      state: { begin: stateBegin, end: stateEnd },
      pieces,
    })
    pieces = []
    begin = end
    sumBegin = sumEnd
    stateBegin = stateEnd
  }

  for (const tensor of manifest.tensors) {
    const { offset } = weights.tensors.get(tensor.name) as PlacedTensor
    const sumPlaced = sums.tensors.get(shardSumEntry(tensor)?.name ?? '')
    const statePlaced = states?.tensors.get(stateEntry(tensor, optimiser)?.name ?? '')
    const size = DTYPE_BYTES[tensor.dtype]
    const sumSize = sumPlaced ? DTYPE_BYTES[sumPlaced.dtype] : 0
    const elements = elementsOf(tensor)
    const stateSize = statePlaced && elements > 0 ? statePlaced.byteLength / elements : 0
    for (let first = 0; first < elements; ) {
      const left = () => Math.floor((partBytes - (end - begin)) / size)
      if (left() < 1 && end > begin) close()
      const count = Math.min(elements - first, Math.max(left(), 1))
      const sum = sumPlaced
        ? { begin: sumPlaced.offset + first * sumSize, end: sumPlaced.offset + (first + count) * sumSize }
        : null
      const state = statePlaced
        ? { begin: statePlaced.offset + first * stateSize, end: statePlaced.offset + (first + count) * stateSize }
        : null
      end = offset + (first + count) * size
      sumEnd = sum?.end ?? sumEnd
      stateEnd = state?.end ?? stateEnd
      pieces.push({ tensor, weights: { begin: offset + first * size, end }, sum, state })
      first += count
    }
  }
  if (end > begin) close()
  return parts
}
