import { InvalidUpdateError } from '@tributary/learning/update/invalid-update-error'
import { readUpdateHeader, type UpdatePart } from '@tributary/learning/update/update-body'
import type { Manifest } from '@tributary/tensors/manifest'
import { LENGTH_BYTES, readHeaderBytes } from '@tributary/tensors/safetensors/parse-header'
import { SafetensorsError } from '@tributary/tensors/safetensors/safetensors-error'

type KnownHeader = { readonly header: Buffer; readonly bodyBytes: number; readonly parts: readonly UpdatePart[] }

/** The header that was read last: devices that run the same program write the same one. */
const known = new WeakMap<Manifest, KnownHeader>()

/**
 * Where a body holds its tensors, in manifest order.
 * @param readStart gives so many bytes from the beginning of the body
 * @throws InvalidUpdateError BODY_MALFORMED, TENSOR_MISSING, TENSOR_UNEXPECTED, TENSOR_MISMATCH
 */
export function readParts(
  readStart: (bytes: number) => Buffer,
  bodyBytes: number,
  manifest: Manifest,
): readonly UpdatePart[] {
  const start = readStart(Math.min(LENGTH_BYTES, bodyBytes))
  let headerBytes: number
  try {
    headerBytes = readHeaderBytes(start)
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error
    throw new InvalidUpdateError('BODY_MALFORMED', error.message, error.tensor, { cause: error })
  }
  const header = readStart(Math.min(headerBytes, bodyBytes))
  const last = known.get(manifest)
  if (last?.bodyBytes === bodyBytes && last.header.equals(header)) return last.parts
  const parts = readUpdateHeader(header, bodyBytes, manifest)
  known.set(manifest, { header, bodyBytes, parts })
  return parts
}
