import type { ShardSum } from '@tributary/learning/exact-sum/shard-sum'
import type { SumRule } from '@tributary/learning/exact-sum/sum-rule'
import { UpdateCheck } from '@tributary/learning/update/check-update'
import { InvalidUpdateError } from '@tributary/learning/update/invalid-update-error'
import { readUpdateHeader, type UpdatePart } from '@tributary/learning/update/update-body'
import { DTYPE_BYTES } from '@tributary/tensors/dtype'
import type { Manifest, ManifestTensor } from '@tributary/tensors/manifest'
import { LENGTH_BYTES, readHeaderBytes } from '@tributary/tensors/safetensors/parse-header'
import { SafetensorsError } from '@tributary/tensors/safetensors/safetensors-error'
import type { RangeReader } from '../log/sealed-file.ts'

/** A multiple of every element size. */
const sliceBytes = 1024 * 1024

type Slice = { readonly tensor: ManifestTensor; readonly firstElement: number; readonly bytes: Uint8Array }

/**
 * Where a spooled update holds its tensors.
 * @throws InvalidUpdateError BODY_MALFORMED, TENSOR_MISSING, TENSOR_UNEXPECTED, TENSOR_MISMATCH
 */
const readParts = async (body: RangeReader, bodyBytes: number, manifest: Manifest): Promise<UpdatePart[]> => {
  let headerBytes: number
  try {
    headerBytes = readHeaderBytes(await body.range(0, Math.min(LENGTH_BYTES, bodyBytes)))
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error
    throw new InvalidUpdateError('BODY_MALFORMED', error.message, error.tensor, { cause: error })
  }
  return readUpdateHeader(await body.range(0, Math.min(headerBytes, bodyBytes)), bodyBytes, manifest)
}

/** Tensors in manifest order, each in slices front to back. */
async function* readSlices(body: RangeReader, parts: readonly UpdatePart[]): AsyncGenerator<Slice> {
  for (const { tensor, placed } of parts) {
    for (let at = 0; at < placed.byteLength; at += sliceBytes) {
      const bytes = await body.range(placed.offset + at, Math.min(sliceBytes, placed.byteLength - at))
      yield { tensor, firstElement: at / DTYPE_BYTES[tensor.dtype], bytes }
    }
  }
}

/**
 * Checks a spooled update slice by slice: names, dtypes, shapes, finite values, range, norm.
 * @throws InvalidUpdateError
 */
export const checkSpooledUpdate = async (
  body: RangeReader,
  bodyBytes: number,
  manifest: Manifest,
  rule: SumRule,
): Promise<void> => {
  const parts = await readParts(body, bodyBytes, manifest)
  const check = new UpdateCheck(rule)
  for await (const { tensor, bytes } of readSlices(body, parts)) check.addSlice(tensor, bytes)
  check.finish(manifest)
}

/** Adds a spooled update that was checked to a sum, slice by slice; several may be added at a time, since order is free. */
export const addSpooledUpdate = async (
  sum: ShardSum,
  body: RangeReader,
  bodyBytes: number,
  manifest: Manifest,
  weight: number,
): Promise<void> => {
  const parts = await readParts(body, bodyBytes, manifest)
  sum.countUpdate(weight)
  for await (const { tensor, firstElement, bytes } of readSlices(body, parts)) {
    sum.addSlice(tensor.name, firstElement, bytes, weight)
  }
}
