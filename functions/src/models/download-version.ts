import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { checkExportable, exportOnnx, type StoredExport, selectExport } from './export-onnx.ts'
import { jobResult } from './jobs/job-result.ts'
import { checkReady, selectVersion, type VersionRow } from './version-row.ts'

const urlSeconds = 900
/** Written within a request; more is a job. */
const mostRequestBytes = 32 * 1024 ** 2
type Format = 'safetensors' | 'onnx' | 'manifest'
type File = { readonly key: string; readonly sha256: string; readonly bytes: number }

/** A presigned address of a version's weights, of its graph with the weights in it, or of its manifest. */
export const downloadVersion = (
  parts: Pick<Context, 'database' | 'store' | 'ids' | 'startVersionJob'>,
): Handler<'downloadVersion'> => {
  const fileOf = async (version: VersionRow, format: Format, signal: AbortSignal): Promise<File> => {
    switch (format) {
      case 'safetensors':
        return { key: version.weights_key, sha256: version.weights_sha256, bytes: version.weights_bytes }
      case 'manifest':
        return { key: version.manifest_key, sha256: version.manifest_sha256, bytes: version.manifest_bytes }
      case 'onnx': {
        const { object_key: key, sha256, bytes } = await onnxOf(parts, version, signal)
        return { key, sha256, bytes }
      }
    }
  }
  return async ({ params, query: { format }, signal }) => {
    const version = await parts.database.read(sql => selectVersion(sql, params))
    checkReady(version)
    const { key, sha256, bytes } = await fileOf(version, format, signal)
    const filename = filenameOf(version, format)
    const { url, expiresAt } = await parts.store.presignGet(key, { filename, seconds: urlSeconds })
    return { url, sha256, bytes, expiresAt, filename }
  }
}

/** @throws TributaryError RESULT_PENDING while a large one is written */
const onnxOf = async (
  parts: Pick<Context, 'database' | 'store' | 'ids' | 'startVersionJob'>,
  version: VersionRow,
  signal: AbortSignal,
): Promise<StoredExport> => {
  checkExportable(version)
  const kept = () => parts.database.read(sql => selectExport(sql, version.id))
  const before = await kept()
  if (before !== undefined) return before
  if (version.weights_bytes <= mostRequestBytes) return exportOnnx(parts, version, { signal })
  await jobResult(parts, { kind: 'export', version: version.id, other: null })
  const now = await kept()
  if (now === undefined) throw new TypeError(`the export of version ${version.id} ended without a file`)
  return now
}

/** Goes into a header and onto a disk: letters, digits and hyphens only. */
const filenameOf = ({ model_name, number }: VersionRow, format: Format): string => {
  const name = model_name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60)
  return `${name || 'model'}-v${number}.${format === 'manifest' ? 'manifest.json' : format}`
}
