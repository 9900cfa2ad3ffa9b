import { readFile } from 'node:fs/promises'
import { decodeSafetensors, encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { SafetensorsError } from '@tributary/tensors/safetensors/safetensors-error'
import { sameShape } from '@tributary/tensors/shape'
import type { Tensor } from '@tributary/tensors/tensor'
import { typedView } from '@tributary/tensors/view'
import { isLocal } from '../../state/local-tensors.ts'
import { type ModelBundle, weightsFromFlat } from './model-bundle.ts'

/**
 * The parameters with this device's own values of what is kept local, in the graph's order.
 * @param file as `LocalTensors` keeps it; absent, or damaged: the version's values stand
 * @returns the bundle's own vector where nothing is put over it, else another one
 */
export const withOwnValues = async (bundle: ModelBundle, file: string | undefined): Promise<Float32Array> => {
  const own = file === undefined ? undefined : await readOwn(file)
  if (own === undefined) return bundle.flat
  const flat = bundle.flat.slice()
  const weights = weightsFromFlat(bundle, flat)
  // A version's own manifest need not say what its task kept local; the file holds nothing else.
  for (const [name, { dtype, shape, bytes }] of own) {
    const tensor = weights.get(name)
    if (tensor?.dtype === dtype && sameShape(tensor.shape, shape)) tensor.bytes.set(bytes)
  }
  return flat
}

const readOwn = async (file: string): Promise<ReadonlyMap<string, Tensor> | undefined> => {
  try {
    return decodeSafetensors(await readFile(file))
  } catch (error) {
    // The owner may have removed it since it was looked up.
    if (error instanceof SafetensorsError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * The file of what is kept local, of trained parameters in the graph's order.
 * @returns undefined where nothing is kept, or where values are not finite, with which no round should begin
 */
export const ownValuesOf = (bundle: ModelBundle, flat: Float32Array): Uint8Array | undefined => {
  const weights = weightsFromFlat(bundle, flat)
  const own = bundle.manifest.tensors.filter(isLocal).map(({ name }) => ({ ...(weights.get(name) as Tensor), name }))
  if (own.length === 0 || !own.every(({ bytes }) => typedView(bytes, 'F32').every(Number.isFinite))) return undefined
  return encodeSafetensors(own)
}
