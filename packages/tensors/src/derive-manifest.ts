import { isFloatDtype } from './dtype.ts'
import type { LabelKind, Loss, Manifest, ManifestPort, ManifestTensor } from './manifest.ts'
import type { TensorInfo } from './tensor.ts'

/** What no file of weights tells. */
export interface ManifestParts {
  readonly loss: Loss
  readonly labelKind: LabelKind
  readonly inputs?: readonly ManifestPort[]
  readonly outputs?: readonly ManifestPort[]
  /** Names of running statistics, where something better than their names tells; else by the names of PyTorch and Keras. */
  readonly buffers?: ReadonlySet<string>
}

/** Last part of the names of running statistics: PyTorch's `running_mean`, Keras' `moving_mean`. */
const statistics = /(?:^|[./:_-])(?:running|moving)_(?:mean|var|variance)(?::\d+)?$/

/**
 * The manifest of a model of which only the weights are known, tensors in the order of the file. Floating-point tensors of
 * any width are averaged, running statistics among them as buffers. A single integer counts something
 * (`num_batches_tracked`), so the largest counts; more of them, and truth values, are tables that belong to the
 * architecture, so they stay as they are.
 * @param tensors in the order of the weights file
 */
export function deriveManifest(tensors: Iterable<TensorInfo>, parts: ManifestParts): Manifest {
  return {
    format: 'tributary.manifest/1',
    tensors: Array.from(tensors, tensor => describe(tensor, parts.buffers)),
    inputs: [...(parts.inputs ?? [])],
    outputs: [...(parts.outputs ?? [])],
    loss: parts.loss,
    labelKind: parts.labelKind,
  }
}

function describe({ name, dtype, shape }: TensorInfo, buffers: ReadonlySet<string> | undefined): ManifestTensor {
  const described = { name, dtype, shape: [...shape] }
  if (isFloatDtype(dtype)) {
    const buffer = buffers?.has(name) ?? statistics.test(name)
    return { ...described, policy: 'average', ...(buffer ? { buffer } : {}) }
  }
  const single = shape.every(size => size === 1)
  return { ...described, policy: single && dtype !== 'BOOL' ? 'max' : 'frozen' }
}
