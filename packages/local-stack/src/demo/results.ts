import { createHash } from 'node:crypto'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ApiClient } from '../platform/api-client.ts'

export type ResultFiles = { readonly modelPath: string; readonly onnxPath: string }

const downloadTimeoutMillis = 120_000

const download = async (
  api: ApiClient,
  params: Record<string, string>,
  format: string,
  path: string,
): Promise<void> => {
  const { url, sha256, bytes } = await api.call('downloadVersion', { params, query: { format } })
  const answer = await fetch(url, { signal: AbortSignal.timeout(downloadTimeoutMillis) })
  if (!answer.ok) throw new Error(`object storage refused the ${format} file with ${answer.status}`)
  const body = new Uint8Array(await answer.arrayBuffer())
  const found = createHash('sha256').update(body).digest('hex')
  if (body.byteLength !== bytes || found !== sha256) {
    throw new Error(
      `the ${format} file has ${body.byteLength} bytes and sha256 ${found}; expected ${bytes} and ${sha256}`,
    )
  }
  await writeFile(`${path}.unfinished`, body)
  await rename(`${path}.unfinished`, path)
}

/** Downloads a version as safetensors and as ONNX, checks the hashes, and keeps both in the folder. */
export const downloadResults = async (
  api: ApiClient,
  folder: string,
  model: string,
  version: string,
): Promise<ResultFiles> => {
  await mkdir(folder, { recursive: true })
  const files = { modelPath: join(folder, 'model.safetensors'), onnxPath: join(folder, 'model.onnx') }
  const params = { model, version }
  await download(api, params, 'safetensors', files.modelPath)
  await download(api, params, 'onnx', files.onnxPath)
  return files
}
