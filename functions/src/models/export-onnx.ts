import { TributaryError } from '@tributary/contracts/errors'
import { readModel } from '@tributary/onnx-train/read-model'
import { withWeights } from '@tributary/onnx-train/with-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { decodeSafetensors } from '@tributary/tensors/safetensors/file'
import type { Tensor } from '@tributary/tensors/tensor'
import type { Context } from '../context.ts'
import { bundleFiles, exportKey } from './bundle-files.ts'
import { readStoredFile } from './stored-file.ts'
import type { VersionRow } from './version-row.ts'

/** Weights, their copy in the model and the file are in memory at once: four times this must fit into the function. */
const maxExportBytes = 64 * 1024 ** 2
const format = 'onnx'

export type StoredExport = { readonly object_key: string; readonly sha256: string; readonly bytes: number }

/**
 * The version's graph with its weights as one ONNX file, made once and kept.
 * @throws TributaryError NOT_FOUND for models without a graph, EXPORT_TOO_LARGE
 */
export const exportOnnx = async (
  { database, store }: Pick<Context, 'database' | 'store'>,
  version: VersionRow,
  signal: AbortSignal,
): Promise<StoredExport> => {
  const [kept] = await database.read(
    sql => sql<StoredExport[]>`
      select object_key, sha256, bytes from model_export where version = ${version.id} and format = ${format}`,
  )
  if (kept !== undefined) return kept
  const key = exportKey(version.model, version.id)
  const written = await store.put(key, await buildOnnx(store, version, signal), { signal })
  // Two at once build the same bytes; the first row stays.
  await database.read(
    sql => sql`
      insert into model_export (version, format, object_key, sha256, bytes)
      values (${version.id}, ${format}, ${key}, ${written.sha256}, ${written.bytes})
      on conflict (version, format) do nothing`,
  )
  return { object_key: key, ...written }
}

/** `finalise` compared every tensor with a parameter of the graph, and those are floats. */
const floatTensor = ({ dtype, ...tensor }: Tensor) => {
  if (dtype !== 'F32' && dtype !== 'F64') throw new TypeError(`tensor ${tensor.name} is ${dtype}, not a parameter`)
  return { ...tensor, dtype }
}

const buildOnnx = async (store: Context['store'], version: VersionRow, signal: AbortSignal): Promise<Uint8Array> => {
  const { graph_key, graph_sha256, graph_bytes, weights_key, weights_sha256, weights_bytes } = version
  if (graph_key === null || graph_sha256 === null || graph_bytes === null) {
    throw new TributaryError('NOT_FOUND', { detail: 'the model has no ONNX graph; download it as safetensors' })
  }
  if (weights_bytes + graph_bytes > maxExportBytes) throw new TributaryError('EXPORT_TOO_LARGE')
  const graphFile = { file: 'graph', key: graph_key, sha256: graph_sha256, bytes: graph_bytes }
  const weightsFile = { file: 'weights', key: weights_key, sha256: weights_sha256, bytes: weights_bytes }
  const graph = readModel(await readStoredFile(store, graphFile, signal), { maxBytes: bundleFiles.graph.maxBytes })
  const weights = decodeSafetensors(await readStoredFile(store, weightsFile, signal))
  return writeModel(withWeights(graph, [...weights.values()].map(floatTensor)))
}
