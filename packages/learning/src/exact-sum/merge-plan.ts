import { DTYPE_BYTES } from '@tributary/tensors/dtype'
import { type Manifest, type ManifestTensor, weightsLayout } from '@tributary/tensors/manifest'
import type { PlacedTensor } from '@tributary/tensors/tensor'
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
}

/** What is merged at a time: one contiguous range of the version file from one contiguous range of each shard sum. */
export interface MergePart {
  /** From 1, as in a multipart upload. */
  readonly number: number
  /** The first part begins with the header. */
  readonly weights: ByteRange
  /** Empty where nothing of the part is summed. */
  readonly sum: ByteRange
  readonly pieces: readonly MergePiece[]
}

/**
 * Cuts a merge into parts of about `partBytes` of the version file (up to an element less, the last whatever is left).
 * Parts are independent, so a merge can be resumed by part, and memory follows the part, not the model.
 */
export function planMerge(manifest: Manifest, partBytes: number): MergePart[] {
  const weights = weightsLayout(manifest)
  const sums = shardSumLayout(manifest)
  const parts: MergePart[] = []
  let pieces: MergePiece[] = []
  let begin = 0
  let end = weights.header.byteLength
  let sumBegin = sums.header.byteLength
  let sumEnd = sumBegin

  const close = () => {
    parts.push({ number: parts.length + 1, weights: { begin, end }, sum: { begin: sumBegin, end: sumEnd }, pieces })
    pieces = []
    begin = end
    sumBegin = sumEnd
  }

  for (const tensor of manifest.tensors) {
    const { offset } = weights.tensors.get(tensor.name) as PlacedTensor
    const sumPlaced = sums.tensors.get(shardSumEntry(tensor)?.name ?? '')
    const size = DTYPE_BYTES[tensor.dtype]
    const sumSize = sumPlaced ? DTYPE_BYTES[sumPlaced.dtype] : 0
    const elements = elementsOf(tensor)
    for (let first = 0; first < elements; ) {
      const left = () => Math.floor((partBytes - (end - begin)) / size)
      if (left() < 1 && end > begin) close()
      const count = Math.min(elements - first, Math.max(left(), 1))
      const sum = sumPlaced
        ? { begin: sumPlaced.offset + first * sumSize, end: sumPlaced.offset + (first + count) * sumSize }
        : null
      end = offset + (first + count) * size
      sumEnd = sum?.end ?? sumEnd
      pieces.push({ tensor, weights: { begin: offset + first * size, end }, sum })
      first += count
    }
  }
  if (end > begin) close()
  return parts
}
