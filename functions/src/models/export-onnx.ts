import { createHash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import { layoutModel, mostModelBytes } from '@tributary/onnx-train/layout-model'
import { readModel } from '@tributary/onnx-train/read-model'
import type { ObjectStore } from '../adapters/object-store.ts'
import type { Context } from '../context.ts'
import type { Sql } from '../database/transaction.ts'
import { type Read, readAhead } from '../merge/read-ahead.ts'
import { SpareBuffers } from '../merge/spare-buffers.ts'
import { bundleFiles, exportKey } from './bundle-files.ts'
import { readWeightsHeader } from './check-weights.ts'
import {
  checkStoredFile,
  type DeclaredObject,
  declaredBundle,
  mismatch,
  type Progress,
  readStoredFile,
} from './stored-file.ts'
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

const writeOnnx = async (store: ObjectStore, version: VersionRow, key: string, progress: Progress) => {
  const { signal, onProgress } = progress
  const { graph, weights } = declaredBundle(version)
  if (graph === null) throw new TypeError(`version ${version.id} has no graph`)
  const { pieces } = layoutModel(
    readModel(await readStoredFile(store, graph, signal), { maxBytes: bundleFiles.graph.maxBytes }),
  )
  const { tensors } = await readWeightsHeader(store, weights, signal)
  const check = await weightsCheck(store, weights, pieces, tensors, progress)
  const buffers = new SpareBuffers()
  // `finalise` compared every parameter of the graph with a tensor.
  const reads = pieces.map(piece => {
    if (piece.kind === 'bytes') return []
    const tensor = tensors.get(piece.name)
    if (tensor?.byteLength !== piece.byteLength) throw new TypeError(`there are no weights for ${piece.name}`)
    const { offset, byteLength } = tensor
    return Array.from({ length: Math.ceil(byteLength / rangeBytes) }, (_, index): Read<Uint8Array<ArrayBuffer>> => {
      const start = offset + index * rangeBytes
      const end = Math.min(start + rangeBytes, offset + byteLength)
      return stopping => store.readRange(weights.key, { start, end }, stopping, buffers.take(end - start))
    })
  })
  await using ranges = readAhead(reads.flat(), rangesAhead, signal)
  await using writer = store.openWriter(key, { signal })
  for (const [index, piece] of pieces.entries()) {
    if (piece.kind === 'bytes') await writer.write(piece.bytes)
    for (const _ of reads[index] ?? []) {
      const { value } = await ranges.next()
      check.update(value)
      // Copied when it returns.
      await writer.write(value)
      buffers.give(value)
      await onProgress?.()
    }
  }
  check.finish()
  // Awaited here: the writer is disposed on return, which throws away what is not finished.
  return await writer.finish()
}

type Check = {
  /** The next tensor's bytes, as the export reads them. */
  update(bytes: Uint8Array): void
  /** @throws TributaryError CHECKSUM_MISMATCH */
  finish(): void
}

/**
 * Where the export reads the whole file from front to back, it is checked on the way, and nothing is visible before its end; else it is
 * read once before.
 * @throws TributaryError UPLOAD_MISSING, CHECKSUM_MISMATCH
 */
const weightsCheck = async (
  store: ObjectStore,
  weights: DeclaredObject,
  pieces: readonly { readonly kind: string; readonly name?: string }[],
  tensors: ReadonlyMap<string, { readonly offset: number; readonly byteLength: number }>,
  progress: Progress,
): Promise<Check> => {
  const used = pieces.flatMap(({ name }) => tensors.get(name ?? '') ?? [])
  const start = used[0]?.offset ?? 0
  let end = start
  const inOrder = used.every(({ offset, byteLength }) => {
    const follows = offset === end
    end = offset + byteLength
    return follows
  })
  // A header is small: whatever lies before the first tensor is taken for one.
  if (!inOrder || end !== weights.bytes || start === 0 || start > rangeBytes) {
    await checkStoredFile(store, weights, progress)
    return { update: () => undefined, finish: () => undefined }
  }
  const hash = createHash('sha256').update(
    await store.readRange(weights.key, { start: 0, end: start }, progress.signal),
  )
  return {
    update: bytes => void hash.update(bytes),
    finish: () => {
      if (hash.digest('hex') !== weights.sha256) throw mismatch(weights)
    },
  }
}
