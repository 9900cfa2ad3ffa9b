import { TributaryError } from '@tributary/contracts/errors'
import { checkFields } from '@tributary/onnx-train/check-fields'
import { portsOf } from '@tributary/onnx-train/extract-weights'
import { OnnxModelError, shorten } from '@tributary/onnx-train/onnx-model-error'
import { parametersOf } from '@tributary/onnx-train/parameters'
import { readModel } from '@tributary/onnx-train/read-model'
import type { Manifest } from '@tributary/tensors/manifest'
import { bundleFiles } from './bundle-files.ts'
import { onnxOperators } from './onnx-operators.ts'

const dtypes = { float32: 'F32', float64: 'F64' } as const

/** A forward graph as far as a manifest describes it. */
export type CheckedGraph = ReturnType<typeof readGraph>

/**
 * Reads a forward graph that may come from anybody.
 * @throws TributaryError MODEL_INVALID
 */
export const readGraph = (bytes: Uint8Array) => {
  try {
    // The reader refuses what is too large to read; a file that only becomes so is found here.
    if (bytes.length <= bundleFiles.graph.maxBytes) checkFields(bytes)
    const model = readModel(bytes, { maxBytes: bundleFiles.graph.maxBytes })
    const unknown = model.graph?.node.find(({ opType }) => !onnxOperators.has(opType))
    if (unknown !== undefined)
      throw invalid(`OPERATOR_UNSUPPORTED: ai.onnx has no operator "${shorten(unknown.opType)}"`)
    return { parameters: parametersOf(model), ...portsOf(model) }
  } catch (error) {
    if (error instanceof OnnxModelError) throw invalid(`${error.code}: ${error.message}`)
    throw error
  }
}

/**
 * Compares the parameters of a graph with the manifest.
 * @throws TributaryError MODEL_INVALID
 */
export const checkGraph = ({ parameters }: CheckedGraph, manifest: Manifest): void => {
  const known = new Map(manifest.tensors.map(({ name, dtype, shape }) => [name, `${dtype} [${shape}]`]))
  for (const { name, dtype, shape } of parameters) {
    const here = `${dtypes[dtype]} [${shape}]`
    if (known.get(name) !== here) throw invalid(`parameter ${name.slice(0, 80)} is ${here}, the manifest disagrees`)
  }
  if (parameters.length !== known.size) {
    throw invalid(`the graph has ${parameters.length} parameters, the manifest ${known.size} tensors`)
  }
}

const invalid = (what: string): TributaryError =>
  new TributaryError('MODEL_INVALID', { detail: `graph: ${what.slice(0, 500)}` })
