import { parametersOf } from '@tributary/onnx-train/parameters'
import { readModel } from '@tributary/onnx-train/read-model'
import type { Manifest } from '@tributary/tensors/manifest'
import { sameShape } from '@tributary/tensors/shape'
import { ModelError, maxGraphBytes } from './work.ts'

/** Parameters of a graph by name, in its order, and those of them that keep their values. */
export type GraphParameters = { readonly names: readonly string[]; readonly frozen: readonly string[] }

/**
 * The parameters and running statistics of an ONNX graph; exactly the tensors of the manifest, all float32 and averaged,
 * kept local or frozen.
 * @throws OnnxModelError for a graph that is not acceptable, ModelError where graph and manifest disagree
 */
export const graphParameters = (graph: Uint8Array, manifest: Manifest): GraphParameters => {
  const parameters = parametersOf(readModel(graph, { maxBytes: maxGraphBytes }))
  const frozen: string[] = []
  const tensors = new Map(manifest.tensors.map(tensor => [tensor.name, tensor]))
  for (const { name, dtype, shape } of parameters) {
    const tensor = tensors.get(name)
    if (tensor === undefined || !sameShape(tensor.shape, shape)) {
      throw new ModelError(
        `The graph has a parameter ${quote(name)} of shape [${shape.join(', ')}], the manifest has not.`,
      )
    }
    if (dtype !== 'float32' || tensor.dtype !== 'F32' || !trainedPolicies.has(tensor.policy)) {
      const is = `${tensor.dtype} of policy ${tensor.policy}`
      throw new ModelError(
        `Tensor ${quote(name)} is ${is}: the ONNX trainer takes F32 tensors of policy average, keep-local or frozen only.`,
      )
    }
    if (tensor.policy === 'frozen') frozen.push(name)
    tensors.delete(name)
  }
  const [unknown] = tensors.keys()
  if (unknown !== undefined)
    throw new ModelError(`The manifest names ${quote(unknown)}, which is no parameter of the graph.`)
  return { names: parameters.map(({ name }) => name), frozen }
}

const trainedPolicies: ReadonlySet<string> = new Set(['average', 'keep-local', 'frozen'])

const quote = (name: string): string => JSON.stringify(name.slice(0, 80))
