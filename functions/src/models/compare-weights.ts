import { TributaryError } from '@tributary/contracts/errors'
import type { TensorDistance, VersionComparison } from '@tributary/contracts/models'
import { addDistance, type Distance, distanceOf, noDistance } from '@tributary/tensors/distance'
import type { SafetensorsHeader } from '@tributary/tensors/safetensors/parse-header'
import { planRanges } from '@tributary/tensors/safetensors/plan-ranges'
import type { ObjectStore } from '../adapters/object-store.ts'
import { type Read, readAhead } from '../merge/read-ahead.ts'
import { readWeightsHeader } from './check-weights.ts'
import { declaredBundle, type Progress } from './stored-file.ts'
import type { VersionRow } from './version-row.ts'

export type WeightsComparison = Pick<VersionComparison, 'whole' | 'tensorCount' | 'tensors'>

const rangeBytes = 4 * 1024 ** 2
/** Of both files together: 32 MB are held, whatever the size of the model. */
const rangesAhead = 8
const mostTensors = 4096

/**
 * Distances of the tensors of two versions, range by range of both files.
 * @throws TributaryError VERSIONS_UNLIKE unless both have the same tensors in the same order
 */
export const compareWeights = async (
  store: ObjectStore,
  version: VersionRow,
  other: VersionRow,
  { signal, onProgress }: Progress,
): Promise<WeightsComparison> => {
  const files = [declaredBundle(version).weights, declaredBundle(other).weights] as const
  const header = await readWeightsHeader(store, files[0], signal)
  checkAlike(header, await readWeightsHeader(store, files[1], signal))
  const ranges = [...planRanges(header.tensors.values(), rangeBytes)]
  function* reads(): Generator<Read<Uint8Array>> {
    for (const { start, end } of ranges) {
      for (const { key } of files) yield stopping => store.readRange(key, { start, end }, stopping)
    }
  }
  const distances = new Map([...header.tensors.keys()].map(name => [name, noDistance]))
  await using bytes = readAhead(reads(), rangesAhead, signal)
  for (const { pieces } of ranges) {
    const { value: a } = await bytes.next()
    const { value: b } = await bytes.next()
    for (const { tensor, start, end } of pieces) {
      const piece = distanceOf(a.subarray(start, end), b.subarray(start, end), tensor.dtype)
      distances.set(tensor.name, addDistance(distances.get(tensor.name) ?? noDistance, piece))
    }
    await onProgress?.()
  }
  return {
    whole: shown([...distances.values()].reduce(addDistance, noDistance)),
    tensorCount: distances.size,
    tensors: mostDistant([...distances].map(([name, distance]) => ({ name, ...shown(distance) }))),
  }
}

const checkAlike = (a: SafetensorsHeader, b: SafetensorsHeader): void => {
  const text = ({ tensors }: SafetensorsHeader) =>
    JSON.stringify([...tensors.values()].map(({ name, dtype, shape }) => [name, dtype, shape]))
  if (text(a) !== text(b)) throw new TributaryError('VERSIONS_UNLIKE')
}

const shown = ({ squares, aSquares, bSquares, product, most }: Distance): TensorDistance => ({
  relativeL2: finite(Math.sqrt(squares / aSquares)),
  maxAbsolute: finite(most),
  // In two steps: the product of the squares may be beyond what float64 holds.
  cosine: finite(product / Math.sqrt(aSquares) / Math.sqrt(bSquares)),
  norm: finite(Math.sqrt(aSquares)),
  otherNorm: finite(Math.sqrt(bSquares)),
})

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)

/** All of them in their order where they are few, else the farthest, those without a number first. */
const mostDistant = (tensors: WeightsComparison['tensors']): WeightsComparison['tensors'] =>
  tensors.length <= mostTensors
    ? tensors
    : tensors.toSorted((a, b) => (b.relativeL2 ?? Infinity) - (a.relativeL2 ?? Infinity) || 0).slice(0, mostTensors)
