import { ceilLog2 } from '@tributary/learning/exact-sum/exponent'
import type { FeatureStatistics, StatisticsPass } from '@tributary/learning/statistics/feature-statistics'
import { DataError } from '../data-error.ts'
import type { RowSource } from '../rows/row-source.ts'
import { ExactSums } from './exact-sums.ts'

/** Which entry each feature of a row belongs to: feature k to entry ⌊k / run⌋ mod entries. */
export type EntryLayout = { readonly entries: number; readonly run: number }

export type MeasureOptions = {
  readonly signal: AbortSignal
  /** 0 … 1 */
  readonly onProgress?: (progress: number) => void
}

/** Bytes of rows in memory at once. */
const sliceBytes = 2 ** 20
/** Values that came after the scale was found may be so many times as large. */
const mostScales = 4
/** Fractions of their sums: the squares of 2 · mostScales are 2^6, and both stay below 2^51. */
const meanExponent = 48
const squareExponent = 44

/**
 * One pass over the data of this device: the base with the values of that pass replaced by those found here. The scale is the least
 * power of two that no magnitude passes; the mean is in its units, the variance about the mean of the base in their squares.
 * Exact for values rounded to 2^−48 (squares: 2^−44) of those units, so that the order of the rows changes nothing.
 * @throws FEATURES_UNUSABLE for a value that is not finite, BEYOND_SCALE for one far above the base's scale; the signal's reason
 */
export const localStatistics = async (
  rows: RowSource,
  layout: EntryLayout,
  pass: StatisticsPass,
  base: FeatureStatistics,
  options: MeasureOptions,
): Promise<FeatureStatistics> => {
  const entries = entriesOf(layout, rows.featuresPerRow)
  if (pass === 'scale') return { ...base, scale: await scaleOf(rows, layout, entries, options) }
  const inverse = base.scale.map(scale => 1 / (scale || 1))
  const sums = new ExactSums(layout.entries, pass === 'mean' ? meanExponent : squareExponent)
  await eachValue(rows, entries, options, (value, entry) => {
    // A power of two: nothing is rounded.
    const scaled = value * (inverse[entry] as number)
    const distance = pass === 'mean' ? scaled : scaled - (base.mean[entry] as number)
    if (!(Math.abs(scaled) <= mostScales && Math.abs(distance) <= 2 * mostScales)) throw beyondScale(value)
    sums.add(entry, pass === 'mean' ? distance : distance * distance)
  })
  // Every entry has as many values as its share of the features.
  const means = sums.meansOf((rows.examples * rows.featuresPerRow) / layout.entries)
  return pass === 'mean' ? { ...base, mean: means } : { ...base, variance: means }
}

const scaleOf = async (
  rows: RowSource,
  { entries: count }: EntryLayout,
  entries: Int32Array,
  options: MeasureOptions,
): Promise<Float64Array> => {
  const largest = new Float64Array(count)
  await eachValue(rows, entries, options, (value, entry) => {
    const magnitude = Math.abs(value)
    if (!(magnitude < Number.POSITIVE_INFINITY)) throw notFinite()
    if (magnitude > (largest[entry] as number)) largest[entry] = magnitude
  })
  return largest.map(magnitude => (magnitude === 0 ? 0 : 2 ** ceilLog2(magnitude)))
}

const entriesOf = ({ entries, run }: EntryLayout, features: number): Int32Array =>
  Int32Array.from({ length: features }, (_, feature) => Math.floor(feature / run) % entries)

/** Every value of every row, a slice of the rows in memory at a time. */
const eachValue = async (
  rows: RowSource,
  entries: Int32Array,
  { signal, onProgress }: MeasureOptions,
  take: (value: number, entry: number) => void,
): Promise<void> => {
  const { examples, featuresPerRow } = rows
  const most = Math.max(1, Math.floor(sliceBytes / (4 * featuresPerRow)))
  for (let first = 0; first < examples; first += most) {
    signal.throwIfAborted()
    const count = Math.min(most, examples - first)
    const { features } = await rows.readRows(
      Int32Array.from({ length: count }, (_, index) => first + index),
      0,
      count,
    )
    for (let at = 0, feature = 0; at < features.length; at++) {
      take(features[at] as number, entries[feature] as number)
      if (++feature === featuresPerRow) feature = 0
    }
    onProgress?.((first + count) / examples)
  }
}

const notFinite = (): DataError =>
  new DataError('FEATURES_UNUSABLE', 'A feature holds a number that is not finite. Leave such rows out.')

const beyondScale = (value: number): DataError =>
  Number.isFinite(value)
    ? new DataError(
        'BEYOND_SCALE',
        `The value ${value} is far above every one that there was when the scale was found. The statistics must be found anew.`,
      )
    : notFinite()
