import { TributaryError } from '@tributary/contracts/errors'
import { type Manifest, weightsLayout } from '@tributary/tensors/manifest'
import { parseHeader, readHeaderBytes, type SafetensorsHeader } from '@tributary/tensors/safetensors/parse-header'
import { SafetensorsError } from '@tributary/tensors/safetensors/safetensors-error'
import type { ObjectStore } from '../adapters/object-store.ts'
import type { DeclaredObject } from './stored-file.ts'

const lengthBytes = 8

/**
 * Reads the header of a weights file that may come from anybody.
 * @throws TributaryError MODEL_INVALID
 */
export const readWeightsHeader = async (
  store: ObjectStore,
  { key, bytes }: DeclaredObject,
  signal: AbortSignal,
): Promise<SafetensorsHeader> => {
  try {
    const start = await store.readRange(key, { start: 0, end: Math.min(bytes, lengthBytes) }, signal)
    const headerBytes = readHeaderBytes(start)
    const header = await store.readRange(key, { start: 0, end: Math.min(bytes, headerBytes) }, signal)
    return parseHeader(header, { fileBytes: bytes })
  } catch (error) {
    if (error instanceof SafetensorsError) throw invalid(`${error.code}: ${error.message}`)
    throw error
  }
}

/**
 * Compares a header with the manifest: the same tensors in the same order at the very places where every later version has
 * them, without metadata.
 * @throws TributaryError MODEL_INVALID
 */
export const checkWeights = ({ tensors, metadata }: SafetensorsHeader, manifest: Manifest): void => {
  if (metadata.size > 0) throw invalid('the file has metadata; write it without')
  const expected = [...weightsLayout(manifest).tensors.values()]
  if (tensors.size !== expected.length) throw invalid(`${tensors.size} tensors, the manifest has ${expected.length}`)
  for (const [index, tensor] of [...tensors.values()].entries()) {
    const wanted = expected[index]
    const same =
      wanted !== undefined &&
      tensor.name === wanted.name &&
      tensor.dtype === wanted.dtype &&
      tensor.shape.join() === wanted.shape.join()
    if (!same) throw invalid(`tensor ${index} differs from the manifest in name, dtype or shape`)
    if (tensor.offset !== wanted.offset) throw invalid('the header is not in its shortest form, padded to 8 bytes')
  }
}

const invalid = (what: string): TributaryError =>
  new TributaryError('MODEL_INVALID', { detail: `weights: ${what.slice(0, 500)}` })
