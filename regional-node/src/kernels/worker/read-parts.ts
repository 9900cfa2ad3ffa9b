import { InvalidUpdateError } from '@tributary/learning/update/invalid-update-error'
import { readUpdateHeader, type UpdatePart } from '@tributary/learning/update/update-body'
import type { Manifest } from '@tributary/tensors/manifest'
import { LENGTH_BYTES, readHeaderBytes } from '@tributary/tensors/safetensors/parse-header'
import { SafetensorsError } from '@tributary/tensors/safetensors/safetensors-error'
import type { SealedReader } from './sealed-reader.ts'

/**
 * Where a body holds its tensors, in manifest order.
 * @throws InvalidUpdateError BODY_MALFORMED, TENSOR_MISSING, TENSOR_UNEXPECTED, TENSOR_MISMATCH
 */
export function readParts(body: SealedReader, bodyBytes: number, manifest: Manifest): UpdatePart[] {
  const start = Buffer.alloc(Math.min(LENGTH_BYTES, bodyBytes))
  body.read(start, 0)
  let headerBytes: number
  try {
    headerBytes = readHeaderBytes(start)
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error
    throw new InvalidUpdateError('BODY_MALFORMED', error.message, error.tensor, { cause: error })
  }
  const header = Buffer.alloc(Math.min(headerBytes, bodyBytes))
  body.read(header, 0)
  return readUpdateHeader(header, bodyBytes, manifest)
}
