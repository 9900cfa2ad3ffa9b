import type { Manifest } from '@tributary/tensors/manifest'
import { decodeSafetensors, encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf, typedView } from '@tributary/tensors/view'
import { StatisticsError } from './statistics-error.ts'

/**
 * Mean and variance of features over the devices of a federation, E entries each. The unit of entry k is `scale[k]`, a power of
 * two not below any magnitude of the feature (0: it is 0 everywhere), so that a fixed point that suits one entry suits all.
 */
export type FeatureStatistics = {
  readonly scale: Float64Array
  /** In units of `scale`. */
  readonly mean: Float64Array
  /** In units of the square of `scale`. */
  readonly variance: Float64Array
}

/** The passes over the data, a round each: what comes later needs what the devices before found together. */
export const statisticsPasses = ['scale', 'mean', 'variance'] as const
export type StatisticsPass = (typeof statisticsPasses)[number]

/** Rounds in which a task finds them. */
export const statisticsRounds = statisticsPasses.length

/** B of their sum. In units of the scale a mean is at most 1, and a square of a distance from it 4. */
export const statisticsBound = 4

/** W of their sum: a device with more examples takes no part, since a weight that is cut would shift the mean. */
export const statisticsWeightCap = 2 ** 24

export const mostStatisticsEntries = 65_536

/** What a version of statistics consists of. */
export const statisticsManifest = (entries: number): Manifest => {
  const tensor = { dtype: 'F64' as const, shape: [entries] }
  return {
    format: 'tributary.manifest/1',
    tensors: [
      { name: 'scale', ...tensor, policy: 'max' },
      { name: 'mean', ...tensor, policy: 'average' },
      { name: 'variance', ...tensor, policy: 'average' },
    ],
    inputs: [],
    outputs: [],
    loss: 'mean-squared-error',
    labelKind: 'real',
  }
}

/** What a task begins with. */
export const zeroStatistics = (entries: number): FeatureStatistics => ({
  scale: new Float64Array(entries),
  mean: new Float64Array(entries),
  variance: new Float64Array(entries),
})

/** Bytes of a version, in manifest order. */
export const encodeStatistics = (statistics: FeatureStatistics): Uint8Array =>
  encodeSafetensors(
    statisticsManifest(statistics.scale.length).tensors.map(({ name, dtype, shape }) => ({
      name,
      dtype,
      shape,
      bytes: bytesOf(statistics[name as StatisticsPass]),
    })),
  )

/** Reads a version, whose bytes may come from anybody. Throws StatisticsError, SafetensorsError. */
export const decodeStatistics = (file: Uint8Array): FeatureStatistics => {
  const tensors = decodeSafetensors(file)
  const read = (name: StatisticsPass): Float64Array => {
    const tensor = tensors.get(name)
    if (tensor?.dtype !== 'F64' || tensor.shape.length !== 1)
      throw new StatisticsError(`there is no list ${name} of F64`)
    const values = typedView(tensor.bytes, 'F64')
    // NaN is at least nothing.
    const least = name === 'mean' ? -Number.MAX_VALUE : 0
    if (!values.every(value => value >= least && value <= Number.MAX_VALUE))
      throw new StatisticsError(`${name} holds a number that cannot be one`)
    return values
  }
  const [scale, mean, variance] = [read('scale'), read('mean'), read('variance')]
  const entries = scale.length
  if (entries < 1 || entries > mostStatisticsEntries) throw new StatisticsError(`there are ${entries} entries`)
  if (mean.length !== entries || variance.length !== entries || tensors.size !== statisticsPasses.length)
    throw new StatisticsError('the lists differ in length, or there are others beside them')
  return { scale, mean, variance }
}

/** Below it, in units of the scale, a variance is rounding, and the feature the same everywhere. */
const leastVariance = 2 ** -40

/**
 * What is taken away from a feature and what it is divided by then, so that its mean is 0 and its variance 1. A feature that is the same
 * everywhere becomes about 0.
 */
export const standardisation = ({
  scale,
  mean,
  variance,
}: FeatureStatistics): { readonly shift: readonly number[]; readonly divisor: readonly number[] } => {
  const unit = (entry: number): number => (scale[entry] as number) || 1
  return {
    shift: Array.from(mean, (value, entry) => value * unit(entry)),
    divisor: Array.from(variance, (value, entry) => unit(entry) * (value > leastVariance ? Math.sqrt(value) : 1)),
  }
}
