import { TributaryError } from '@tributary/contracts/errors'
import { layoutModel, mostModelBytes } from '@tributary/onnx-train/layout-model'
import { readModel } from '@tributary/onnx-train/read-model'
import type { ObjectStore } from '../adapters/object-store.ts'
import type { Context } from '../context.ts'
import type { Sql } from '../database/transaction.ts'
import { type Read, readAhead } from '../merge/read-ahead.ts'
import { bundleFiles, exportKey } from './bundle-files.ts'
import { readWeightsHeader } from './check-weights.ts'
import { checkStoredFile, declaredBundle, type Progress, readStoredFile } from './stored-file.ts'
import type { VersionRow } from './version-row.ts'

const format = 'onnx'
const rangeBytes = 4 * 1024 ** 2
const rangesAhead = 8

export type StoredExport = { readonly object_key: string; readonly sha256: string; readonly bytes: number }

/**
 * Refuses versions of which there can be no ONNX file.
 * @throws TributaryError NOT_FOUND for models without a graph, EXPORT_TOO_LARGE
 */
export const checkExportable = (version: VersionRow): void => {
  const { graph, weights } = declaredBundle(version)
  if (graph === null) {
    throw new TributaryError('NOT_FOUND', { detail: 'the model has no ONNX graph; download it as safetensors' })
  }
  if (weights.bytes + graph.bytes > mostModelBytes) throw new TributaryError('EXPORT_TOO_LARGE')
}

/** The export that was made before, if any. */
export const selectExport = async (sql: Sql, version: string): Promise<StoredExport | undefined> => {
  const [kept] = await sql<StoredExport[]>`
    select object_key, sha256, bytes from model_export where version = ${version} and format = ${format}`
  return kept
}

/**
 * Makes the version's graph with its weights in it one ONNX file, written as a stream: only the graph is in memory.
 * @throws TributaryError NOT_FOUND for models without a graph, EXPORT_TOO_LARGE, CHECKSUM_MISMATCH
 */
export const exportOnnx = async (
  { database, store }: Pick<Context, 'database' | 'store'>,
  version: VersionRow,
  progress: Progress,
): Promise<StoredExport> => {
  checkExportable(version)
  await checkStoredFile(store, declaredBundle(version).weights, progress)
  const key = exportKey(version.model, version.id)
  const written = await writeOnnx(store, version, key, progress)
  // Two at once write the same bytes; the first row stays.
  await database.read(
    sql => sql`
      insert into model_export (version, format, object_key, sha256, bytes)
      values (${version.id}, ${format}, ${key}, ${written.sha256}, ${written.bytes})
      on conflict (version, format) do nothing`,
  )
  return { object_key: key, ...written }
}

const writeOnnx = async (store: ObjectStore, version: VersionRow, key: string, { signal, onProgress }: Progress) => {
  const { graph, weights } = declaredBundle(version)
  if (graph === null) throw new TypeError(`version ${version.id} has no graph`)
  const { pieces } = layoutModel(
    readModel(await readStoredFile(store, graph, signal), { maxBytes: bundleFiles.graph.maxBytes }),
  )
  const { tensors } = await readWeightsHeader(store, weights, signal)
  // `finalise` compared every parameter of the graph with a tensor.
  const reads = pieces.map(piece => {
    if (piece.kind === 'bytes') return []
    const tensor = tensors.get(piece.name)
    if (tensor?.byteLength !== piece.byteLength) throw new TypeError(`there are no weights for ${piece.name}`)
    const { offset, byteLength } = tensor
    return Array.from({ length: Math.ceil(byteLength / rangeBytes) }, (_, index): Read<Uint8Array> => {
      const start = offset + index * rangeBytes
      const end = Math.min(start + rangeBytes, offset + byteLength)
      return stopping => store.readRange(weights.key, { start, end }, stopping)
    })
  })
  await using ranges = readAhead(reads.flat(), rangesAhead, signal)
  await using writer = store.openWriter(key, { signal })
  for (const [index, piece] of pieces.entries()) {
    if (piece.kind === 'bytes') await writer.write(piece.bytes)
    for (const _ of reads[index] ?? []) {
      const { value } = await ranges.next()
      await writer.write(value)
      await onProgress?.()
    }
  }
  // Awaited here: the writer is disposed on return, which throws away what is not finished.
  return await writer.finish()
}
