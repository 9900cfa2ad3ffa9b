import { open, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ModelProto } from '@tributary/onnx-train/gen/onnx_pb'
import { readModel } from '@tributary/onnx-train/read-model'
import { UsageError } from './usage-error.ts'

/** What protobuf can hold. */
const maxModelBytes = 2 ** 31 - 1

export type ModelFile = { readonly path: string; readonly bytes: number; readonly model: ModelProto }

/** Reads and checks a model. Throws UsageError where there is no such file, OnnxModelError. */
export const readModelFile = async (folder: string, name: string, output: string | undefined): Promise<ModelFile> => {
  const path = resolve(folder, name)
  const content = await read(path, name)
  return { path, bytes: content.length, model: readModel(content, { maxBytes: maxModelBytes, output }) }
}

const read = async (path: string, name: string): Promise<Uint8Array> => {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    if (size > maxModelBytes) throw new UsageError(`${name} has ${size} bytes; ONNX models have at most 2 GB`)
    return await file.readFile()
  } catch (cause) {
    throw cause instanceof UsageError ? cause : new UsageError(`${name} cannot be read: ${reason(cause)}`, { cause })
  }
}

/** Throws UsageError where the file cannot be written. */
export const writeOutput = async (folder: string, name: string, content: Uint8Array | string): Promise<void> => {
  try {
    await writeFile(resolve(folder, name), content)
  } catch (cause) {
    throw new UsageError(`${name} cannot be written: ${reason(cause)}`, { cause })
  }
}

const reason = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'there is no such file or folder'
  if (code === 'EISDIR') return 'it is a folder'
  return code === 'EACCES' ? 'you may not' : message
}
