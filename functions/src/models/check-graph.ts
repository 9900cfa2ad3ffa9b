import { TributaryError } from '@tributary/contracts/errors'
import { OnnxModelError } from '@tributary/onnx-train/onnx-model-error'
import { parametersOf } from '@tributary/onnx-train/parameters'
import { readModel } from '@tributary/onnx-train/read-model'
import type { Manifest } from '@tributary/tensors/manifest'
import { bundleFiles } from './bundle-files.ts'

const dtypes = { float32: 'F32', float64: 'F64' } as const

/**
 * Reads a forward graph that may come from anybody and compares its parameters with the manifest.
 * @throws TributaryError MODEL_INVALID
 */
export const checkGraph = (bytes: Uint8Array, manifest: Manifest): void => {
  const known = new Map(manifest.tensors.map(({ name, dtype, shape }) => [name, `${dtype} [${shape}]`]))
  try {
    const parameters = parametersOf(readModel(bytes, { maxBytes: bundleFiles.graph.maxBytes }))
    for (const { name, dtype, shape } of parameters) {
      const here = `${dtypes[dtype]} [${shape}]`
      if (known.get(name) !== here) throw invalid(`parameter ${name.slice(0, 80)} is ${here}, the manifest disagrees`)
    }
    if (parameters.length !== known.size) {
      throw invalid(`the graph has ${parameters.length} parameters, the manifest ${known.size} tensors`)
    }
  } catch (error) {
    if (error instanceof OnnxModelError) throw invalid(error.message)
    throw error
  }
}

const invalid = (what: string): TributaryError =>
  new TributaryError('MODEL_INVALID', { detail: `graph: ${what.slice(0, 500)}` })
