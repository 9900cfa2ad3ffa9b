import { DTYPE_BYTES } from '../dtype.ts'
import type { PlacedTensor } from '../tensor.ts'

/** A range of a file that holds whole elements of some tensors. */
export interface TensorRange {
  /** Of the file, end exclusive. */
  readonly start: number
  readonly end: number
  readonly pieces: readonly TensorPiece[]
}

/** Elements of one tensor, by where they stand in the range. */
export interface TensorPiece {
  readonly tensor: PlacedTensor
  readonly start: number
  readonly end: number
}

/**
 * The data section in ranges of at most `rangeBytes` that never cut an element: small tensors share one, large ones take many.
 * @param tensors in the order of their data, as `parseHeader` gives them
 * @param rangeBytes at least 8
 */
export function* planRanges(tensors: Iterable<PlacedTensor>, rangeBytes: number): Generator<TensorRange> {
  let pieces: TensorPiece[] = []
  let start = 0
  let end = 0
  for (const tensor of tensors) {
    const size = DTYPE_BYTES[tensor.dtype]
    for (let done = 0; done < tensor.byteLength; ) {
      if (pieces.length === 0) {
        start = tensor.offset + done
        end = start
      }
      const room = Math.floor((start + rangeBytes - end) / size) * size
      if (room > 0) {
        const taken = Math.min(room, tensor.byteLength - done)
        pieces.push({ tensor, start: end - start, end: end - start + taken })
        end += taken
        done += taken
      }
      if (done < tensor.byteLength) {
        yield { start, end, pieces }
        pieces = []
      }
    }
  }
  if (pieces.length > 0) yield { start, end, pieces }
}
