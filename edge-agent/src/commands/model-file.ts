import { open, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fixInputs } from '@tributary/onnx-train/fix-inputs'
import type { ModelProto } from '@tributary/onnx-train/gen/onnx_pb'
import { valuesBeforeForeign } from '@tributary/onnx-train/inspect/values-before-foreign'
import { OnnxModelError } from '@tributary/onnx-train/onnx-model-error'
import { readModel } from '@tributary/onnx-train/read-model'
import { type Arguments, inputsFrom } from './arguments.ts'
import { UsageError } from './usage-error.ts'

/** What protobuf can hold. */
const maxModelBytes = 2 ** 31 - 1

export type ModelFile = { readonly bytes: number; readonly model: ModelProto }

/**
 * Reads and checks a model and takes out of it what --input and --output choose. Throws UsageError where there is no
 * such file, OnnxModelError.
 */
export const readModelFile = async (folder: string, name: string, given: Arguments): Promise<ModelFile> => {
  const content = await read(resolve(folder, name), name)
  const inputs = inputsFrom(given)
  const model = checked(content, given.text('output'))
  const chosen = inputs.data !== undefined || (inputs.constants?.size ?? 0) > 0
  return { bytes: content.length, model: chosen ? fixInputs(model, inputs) : model }
}

const checked = (content: Uint8Array, output: string | undefined): ModelProto => {
  try {
    return readModel(content, { maxBytes: maxModelBytes, output })
  } catch (error) {
    if (!(error instanceof OnnxModelError) || error.code !== 'DOMAIN_UNSUPPORTED') throw error
    const values = valuesBeforeForeign(content)
    const advice =
      values.length === 0
        ? 'Nothing before it is computed from weights: decision trees, nearest neighbours and kernel machines have no gradients, and cannot be trained here.'
        : `Train up to a value before it: ${values.map(value => `--output ${value}`).join(' or ')}.`
    throw new OnnxModelError(error.code, error.message.replace(/\.$/, ''), advice, { cause: error })
  }
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
