import { clipLocalDelta } from '@tributary/learning/update/clipping-norm'
import { deltaOf } from '@tributary/learning/update/delta'
import { InvalidUpdateError } from '@tributary/learning/update/invalid-update-error'
import { encodeUpdate } from '@tributary/learning/update/update-body'
import { isFloatDtype } from '@tributary/tensors/dtype'
import { readFloats, writeFloats } from '@tributary/tensors/floats'
import type { Manifest } from '@tributary/tensors/manifest'
import type { Tensor } from '@tributary/tensors/tensor'

/** Tensors by name, with their little-endian bytes. */
export type Weights = ReadonlyMap<string, Tensor>

/**
 * The body of an update: for every averaged tensor local − base in its dtype, clipped together where the task asks for
 * it, for every `max` tensor its value; what is kept local or frozen stays here.
 *
 * A delta with NaN or infinity is sent as it is: the node refuses it by name, so that the round need not wait for it.
 * @throws InvalidUpdateError TENSOR_MISSING
 */
export const encodeLocalUpdate = (
  manifest: Manifest,
  base: Weights,
  local: Weights,
  clippingNorm: number | null,
): Uint8Array => {
  const content = new Map<string, Uint8Array>()
  for (const { name, dtype, policy } of manifest.tensors) {
    const after = tensorOf(local, name).bytes
    if (policy === 'max') content.set(name, after)
    if (policy === 'average' && isFloatDtype(dtype))
      content.set(name, deltaOf(after, tensorOf(base, name).bytes, dtype))
  }
  if (clippingNorm !== null) clip(manifest, content, clippingNorm)
  return encodeUpdate(manifest, content)
}

const clip = (manifest: Manifest, content: Map<string, Uint8Array>, clippingNorm: number): void => {
  const clipped = manifest.tensors.flatMap(({ name, dtype, policy, buffer }) => {
    const bytes = content.get(name)
    if (policy !== 'average' || buffer === true || bytes === undefined || !isFloatDtype(dtype)) return []
    return [{ name, dtype, values: readFloats(bytes, dtype) }]
  })
  try {
    clipLocalDelta(
      clipped.map(({ values }) => values),
      clippingNorm,
    )
  } catch (error) {
    if (error instanceof InvalidUpdateError && error.code === 'NOT_FINITE') return
    throw error
  }
  for (const { name, dtype, values } of clipped) content.set(name, writeFloats(Float64Array.from(values), dtype))
}

const tensorOf = (weights: Weights, name: string): Tensor => {
  const tensor = weights.get(name)
  if (tensor === undefined)
    throw new InvalidUpdateError('TENSOR_MISSING', `the weights lack ${JSON.stringify(name.slice(0, 80))}`, name)
  return tensor
}
