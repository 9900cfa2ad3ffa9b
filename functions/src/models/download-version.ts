import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { exportOnnx } from './export-onnx.ts'
import { selectVersion, type VersionRow } from './version-row.ts'

const urlSeconds = 900
type Format = 'safetensors' | 'onnx' | 'manifest'
type File = { readonly key: string; readonly sha256: string; readonly bytes: number }

/** A presigned address of a version's weights, of its graph with the weights in it, or of its manifest. */
export const downloadVersion = (parts: Pick<Context, 'database' | 'store'>): Handler<'downloadVersion'> => {
  const fileOf = async (version: VersionRow, format: Format, signal: AbortSignal): Promise<File> => {
    switch (format) {
      case 'safetensors':
        return { key: version.weights_key, sha256: version.weights_sha256, bytes: version.weights_bytes }
      case 'manifest':
        return { key: version.manifest_key, sha256: version.manifest_sha256, bytes: version.manifest_bytes }
      case 'onnx': {
        const { object_key: key, sha256, bytes } = await exportOnnx(parts, version, signal)
        return { key, sha256, bytes }
      }
    }
  }
  return async ({ params, query: { format }, signal }) => {
    const version = await parts.database.read(sql => selectVersion(sql, params))
    if (version.state !== 'ready') throw new TributaryError('MODEL_VERSION_NOT_READY')
    const { key, sha256, bytes } = await fileOf(version, format, signal)
    const filename = filenameOf(version, format)
    const { url, expiresAt } = await parts.store.presignGet(key, { filename, seconds: urlSeconds })
    return { url, sha256, bytes, expiresAt, filename }
  }
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
