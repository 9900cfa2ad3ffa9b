import type { Manifest } from '@tributary/tensors/manifest'
import { decodeSafetensors, encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf, typedView } from '@tributary/tensors/view'
import { encodeUpdate } from '../update/update-body.ts'
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

/** W of their sum: a device with more examples takes no part, since a weight that is cut would shift the mean. */
export const statisticsWeightCap = 2 ** 24

/** B of their sum. In units of the scale a mean is at most 1, and a square of a distance from it 4. */
export const statisticsBound = 4

/**
 * A number travels as two: its multiple of this, which the sum adds without rounding (as long as fewer than 2^24 devices take part),
 * and the rest, which is so small that the sum has 2^39 steps for a unit. Together they are finer than the numbers of the data.
 */
const step = 2 ** -12

/** B of what is left of a number. */
export const statisticsRestBound = step

export const mostStatisticsEntries = 65_536

/** Tensors that are averaged, each beside the one of its rests. */
const averaged = ['mean', 'variance'] as const
const restOf = (name: (typeof averaged)[number]): string => `${name}_rest`

/** What a version of statistics consists of. */
export const statisticsManifest = (entries: number): Manifest => {
  const tensor = { dtype: 'F64' as const, shape: [entries] }
  return {
    format: 'tributary.manifest/1',
    tensors: [
      { name: 'scale', ...tensor, policy: 'max' },
      ...averaged.flatMap(name => [
        { name, ...tensor, policy: 'average' as const },
        // A buffer has a bound of its own.
        { name: restOf(name), ...tensor, policy: 'average' as const, buffer: true },
      ]),
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
export const encodeStatistics = (statistics: FeatureStatistics): Uint8Array => {
  const content = contentOf(statistics, zeroStatistics(statistics.scale.length))
  return encodeSafetensors(
    statisticsManifest(statistics.scale.length).tensors.map(({ name, dtype, shape }) => ({
      name,
      dtype,
      shape,
      bytes: content.get(name) as Uint8Array,
    })),
  )
}

/** What a device sends of statistics that it found with those of the base: the body of an update. */
export const encodeStatisticsUpdate = (base: FeatureStatistics, local: FeatureStatistics): Uint8Array =>
  encodeUpdate(statisticsManifest(base.scale.length), contentOf(local, base))

/** Bytes by tensor: the scale, and what mean and variance have more than those of the base, in two parts each. */
const contentOf = (local: FeatureStatistics, base: FeatureStatistics): Map<string, Uint8Array> => {
  const content = new Map([['scale', bytesOf(local.scale)]])
  for (const name of averaged) {
    const delta = local[name].map((value, entry) => value - (base[name][entry] as number))
    const multiples = delta.map(value => Math.round(value / step) * step)
    content.set(name, bytesOf(multiples))
    content.set(restOf(name), bytesOf(delta.map((value, entry) => value - (multiples[entry] as number))))
  }
  return content
}

/**
 * What numbers there may be: no float32 is above 2^128, and in units of the scale devices take no value above 4, whose distance from a
 * mean is at most 8. Whatever is taken away and divided by is finite then. A variance of 0 may come out a rounding below it.
 */
const ranges = { scale: [0, 2 ** 128], mean: [-8, 8], variance: [-step, 64] } as const

/** Reads a version, whose bytes may come from anybody. Throws StatisticsError, SafetensorsError. */
export const decodeStatistics = (file: Uint8Array): FeatureStatistics => {
  const tensors = decodeSafetensors(file)
  const list = (name: string): Float64Array => {
    const tensor = tensors.get(name)
    if (tensor?.dtype === 'F64' && tensor.shape.length === 1) return typedView(tensor.bytes, 'F64')
    throw new StatisticsError(`there is no list ${name} of F64`)
  }
  const scale = list('scale')
  const entries = scale.length
  if (entries < 1 || entries > mostStatisticsEntries) throw new StatisticsError(`there are ${entries} entries`)
  const whole = (name: (typeof averaged)[number]): Float64Array => {
    const [multiples, rests] = [list(name), list(restOf(name))]
    if (multiples.length !== entries || rests.length !== entries)
      throw new StatisticsError(`${name} has not ${entries} entries, as the scale has`)
    return multiples.map((value, entry) => value + (rests[entry] as number))
  }
  const statistics = { scale, mean: whole('mean'), variance: whole('variance') }
  if (tensors.size !== 1 + 2 * averaged.length) throw new StatisticsError('it holds other tensors too')
  for (const name of statisticsPasses) {
    const [least, most] = ranges[name]
    // NaN is in none.
    if (!statistics[name].every(value => value >= least && value <= most))
      throw new StatisticsError(`${name} holds a number that cannot be one`)
  }
  return statistics
}

/** Below it, in units of the scale, a variance is that of roundings to float32, and the feature the same everywhere. */
const leastVariance = 2 ** -44

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
