import { Manifest, weightsLayout } from '@tributary/tensors/manifest'
import { decodeSafetensors } from '@tributary/tensors/safetensors/file'
import { sameShape } from '@tributary/tensors/shape'
import type { Tensor } from '@tributary/tensors/tensor'
import { typedView } from '@tributary/tensors/view'
import * as z from 'zod'
import type { ObjectInfo } from '../../state/object-cache.ts'
import { graphParameters } from './graph-parameters.ts'
import { type ModelBundleRef, ModelError } from './work.ts'

/** A model as it is trained: checked, so that manifest, weights and graph speak of the same tensors. */
export type ModelBundle = {
  readonly manifest: Manifest
  /** ONNX bytes. */
  readonly graph: Uint8Array
  /** The values of the graph's parameters, in its order: the only copy that a job holds. */
  readonly flat: Float32Array
  /** By name: views of `flat`. */
  readonly weights: ReadonlyMap<string, Tensor>
  /** Names of the graph's parameters, in its order. */
  readonly parameters: readonly string[]
  /** Those of them that keep their values. */
  readonly frozen: readonly string[]
}

/**
 * Gets the parts of a model, small ones first, and holds them against each other before anything is trained.
 * @param pull gives the bytes of an object, already of the announced hash
 * @throws ModelError, SafetensorsError, OnnxModelError, and what `pull` throws
 */
export const loadBundle = async (
  ref: ModelBundleRef,
  pull: (info: ObjectInfo) => Promise<Uint8Array>,
): Promise<ModelBundle> => {
  if (ref.graph === undefined)
    throw new ModelError('The work names no graph. This agent trains ONNX models, which have one.')
  const manifest = readManifest(await pull(ref.manifest))
  const { fileBytes } = weightsLayout(manifest)
  if (fileBytes !== ref.weights.bytes) {
    throw new ModelError(
      `The manifest describes weights of ${fileBytes} bytes, the work announces ${ref.weights.bytes}.`,
    )
  }
  const graph = await pull(ref.graph)
  const { names, frozen } = graphParameters(graph, manifest)
  const pulled = readWeights(await pull(ref.weights), manifest)
  const flat = flatOf(pulled, names)
  return {
    manifest,
    graph,
    flat,
    weights: weightsFromFlat({ weights: pulled, parameters: names }, flat),
    parameters: names,
    frozen,
  }
}

const flatOf = (weights: ReadonlyMap<string, Tensor>, parameters: readonly string[]): Float32Array => {
  const views = parameters.map(name => typedView((weights.get(name) as Tensor).bytes, 'F32'))
  const flat = new Float32Array(views.reduce((sum, view) => sum + view.length, 0))
  let offset = 0
  for (const view of views) {
    flat.set(view, offset)
    offset += view.length
  }
  return flat
}

/** The bundle's tensors with the values of another vector, in the graph's order: views of it. */
export const weightsFromFlat = (
  { weights, parameters }: Pick<ModelBundle, 'weights' | 'parameters'>,
  flat: Float32Array,
): Map<string, Tensor> => {
  const tensors = new Map<string, Tensor>()
  let offset = 0
  for (const name of parameters) {
    const tensor = weights.get(name) as Tensor
    const bytes = new Uint8Array(flat.buffer, flat.byteOffset + offset, tensor.bytes.byteLength)
    tensors.set(name, { ...tensor, bytes })
    offset += tensor.bytes.byteLength
  }
  return tensors
}

/** Throws ModelError. */
export const readManifest = (bytes: Uint8Array): Manifest => {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new ModelError('The manifest is not JSON.', { cause })
  }
  const parsed = Manifest.safeParse(json)
  if (parsed.success) return parsed.data
  throw new ModelError(`The manifest is not one:\n${z.prettifyError(parsed.error).slice(0, 2000)}`)
}

const readWeights = (file: Uint8Array, manifest: Manifest): ReadonlyMap<string, Tensor> => {
  const tensors = decodeSafetensors(file)
  for (const { name, dtype, shape } of manifest.tensors) {
    const tensor = tensors.get(name)
    if (tensor?.dtype !== dtype || !sameShape(tensor.shape, shape)) {
      throw new ModelError(
        `The weights hold no ${JSON.stringify(name.slice(0, 80))} of the dtype and shape that the manifest says.`,
      )
    }
  }
  if (tensors.size !== manifest.tensors.length)
    throw new ModelError('The weights hold tensors that the manifest does not name.')
  return tensors
}
