import type { ManifestTensor } from '@tributary/tensors/manifest'

/** Up to the last `.` or `/`, and what comes behind it without Keras' number of an output. */
const parts = /^(.*[./])?([^./]+?)(?::\d+)?$/s

/** Names that say by themselves that they are statistics of a batch normalisation: PyTorch's and Keras'. */
const statistics: ReadonlySet<string> = new Set([
  'running_mean',
  'running_var',
  'moving_mean',
  'moving_var',
  'moving_variance',
])
/** What else such a layer has. */
const members: ReadonlySet<string> = new Set([
  ...statistics,
  'weight',
  'bias',
  'scale',
  'gamma',
  'beta',
  'num_batches_tracked',
])

/** What stands before the last `.` or `/` of a tensor's name: its layer; empty where there is none. */
export const layerOf = (name: string): string => parts.exec(name)?.[1] ?? ''

const memberOf = (name: string): string => parts.exec(name)?.[2] ?? name

/**
 * Names of the parameters and statistics of batch normalisations as manifests tell them: everything of a layer that has a running
 * statistic, by its name or because the manifest says that it is a buffer.
 */
export const batchNormByName = (tensors: readonly ManifestTensor[]): ReadonlySet<string> => {
  const normalised = tensors.filter(({ name, buffer }) => buffer === true || statistics.has(memberOf(name)))
  const layers = new Set(normalised.map(({ name }) => layerOf(name)))
  // Without a layer in their names, tensors do not tell what belongs together.
  layers.delete('')
  const own = tensors.filter(({ name }) => layers.has(layerOf(name)) && members.has(memberOf(name)))
  return new Set([...normalised, ...own].map(({ name }) => name))
}
