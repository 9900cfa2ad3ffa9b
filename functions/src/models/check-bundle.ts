import { deriveManifest } from '@tributary/tensors/derive-manifest'
import type { Manifest } from '@tributary/tensors/manifest'
import type { SafetensorsHeader } from '@tributary/tensors/safetensors/parse-header'
import type { Context } from '../context.ts'
import { type CheckedGraph, checkGraph, readGraph } from './check-graph.ts'
import { parseManifest } from './check-manifest.ts'
import { checkWeights, readWeightsHeader } from './check-weights.ts'
import { checkStoredFile, declaredBundle, type Progress, readStoredFile } from './stored-file.ts'
import type { VersionRow } from './version-row.ts'

/** The manifest of a bundle that was checked: as declared, or as it was derived and stored. */
export type CheckedManifest = { readonly sha256: string; readonly bytes: number }

/**
 * Reads the files of a version as hostile input, the weights as a stream. A manifest that was not uploaded is derived from them and
 * stored; the same weights give the same manifest, so doing it twice does no harm.
 * @throws TributaryError UPLOAD_MISSING, CHECKSUM_MISMATCH, MODEL_INVALID
 */
export const checkBundle = async (
  store: Context['store'],
  version: VersionRow,
  progress: Progress,
): Promise<CheckedManifest> => {
  const { signal } = progress
  const files = declaredBundle(version)
  const graph = files.graph === null ? null : readGraph(await readStoredFile(store, files.graph, signal))
  const given = files.manifest === null ? null : parseManifest(await readStoredFile(store, files.manifest, signal))
  await checkStoredFile(store, files.weights, progress)
  const header = await readWeightsHeader(store, files.weights, signal)
  const manifest = given ?? derive(version, header, graph)
  checkWeights(header, manifest)
  if (graph !== null) checkGraph(graph, manifest)
  if (files.manifest !== null) return { sha256: files.manifest.sha256, bytes: files.manifest.bytes }
  const options = { contentType: 'application/json', signal }
  return store.put(version.manifest_key, new TextEncoder().encode(JSON.stringify(manifest)), options)
}

const derive = (version: VersionRow, header: SafetensorsHeader, graph: CheckedGraph | null): Manifest => {
  const defaults = version.manifest_defaults
  if (defaults === null) throw new Error(`version ${version.id} has neither a manifest nor what one is derived with`)
  const derived = deriveManifest(header.tensors.values(), {
    ...defaults,
    ...(graph === null
      ? {}
      : {
          inputs: graph.inputs.map(({ shape, ...port }) => ({ ...port, shape: [...shape] })),
          outputs: graph.outputs.map(({ shape, ...port }) => ({ ...port, shape: [...shape] })),
          buffers: new Set(graph.parameters.flatMap(({ name, buffer }) => (buffer ? [name] : []))),
        }),
  })
  // Names of tensors and ports are as hostile as an uploaded manifest's.
  return parseManifest(new TextEncoder().encode(JSON.stringify(derived)))
}
