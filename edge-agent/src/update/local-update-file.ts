import { type FileHandle, open } from 'node:fs/promises'
import { sumOfSquares } from '@tributary/learning/update/clipping-norm'
import { deltaOf } from '@tributary/learning/update/delta'
import { updateLayout } from '@tributary/learning/update/update-body'
import { type FloatDtype, isFloatDtype } from '@tributary/tensors/dtype'
import { readFloats, writeFloats } from '@tributary/tensors/floats'
import type { Manifest, ManifestTensor } from '@tributary/tensors/manifest'
import { tensorBytes } from '@tributary/tensors/shape'
import { WeightsFile } from './weights-file.ts'

/** A multiple of every element's size; what is in memory at a time is a few of these. */
const partBytes = 2 ** 20

/**
 * Writes the body of an update as `encodeLocalUpdate` makes it, from weights in files: models of any size in the same
 * memory.
 * @param base the weights of the round, every tensor of the manifest
 * @param local new weights, at least of what the manifest sends
 * @param target a file that is not there yet; durable when this resolves
 * @throws SafetensorsError, InvalidUpdateError TENSOR_MISSING and TENSOR_MISMATCH
 */
export const writeLocalUpdate = async (
  manifest: Manifest,
  { base, local, target }: { base: string; local: string; target: string },
  clippingNorm: number | null,
): Promise<void> => {
  const sent = manifest.tensors.filter(({ policy }) => policy === 'average' || policy === 'max')
  await using before = await WeightsFile.open(base, manifest.tensors)
  await using after = await WeightsFile.open(local, sent)
  const scale = clippingNorm === null ? 1 : await scaleOf(sent, before, after, clippingNorm)
  await using file = await open(target, 'wx', 0o600)
  await append(file, updateLayout(manifest).header)
  for (const tensor of sent) {
    const { name, dtype, policy, buffer } = tensor
    for (const [from, bytes] of partsOf(tensor)) {
      const values = await after.read(name, from, bytes)
      if (policy === 'max' || !isFloatDtype(dtype)) await append(file, values)
      else {
        const delta = deltaOf(values, await before.read(name, from, bytes), dtype)
        await append(file, scale === 1 || buffer === true ? delta : scaled(delta, dtype, scale))
      }
    }
  }
  await file.datasync()
}

/** min(1, C / ‖δ‖₂); 1 for a delta that is not finite, which the node refuses by name. */
const scaleOf = async (
  tensors: readonly ManifestTensor[],
  before: WeightsFile,
  after: WeightsFile,
  clippingNorm: number,
): Promise<number> => {
  let squares = 0
  for (const tensor of tensors) {
    const { name, dtype, policy, buffer } = tensor
    if (policy !== 'average' || buffer === true || !isFloatDtype(dtype)) continue
    for (const [from, bytes] of partsOf(tensor)) {
      const delta = deltaOf(await after.read(name, from, bytes), await before.read(name, from, bytes), dtype)
      squares = sumOfSquares(readFloats(delta, dtype), squares)
    }
  }
  const norm = Math.sqrt(squares)
  return norm > clippingNorm && Number.isFinite(norm) ? clippingNorm / norm : 1
}

const scaled = (delta: Uint8Array, dtype: FloatDtype, scale: number): Uint8Array => {
  const values = readFloats(delta, dtype)
  for (let index = 0; index < values.length; index += 1) values[index] = (values[index] as number) * scale
  return writeFloats(Float64Array.from(values), dtype)
}

function* partsOf({ dtype, shape }: ManifestTensor): Generator<[from: number, bytes: number]> {
  const total = tensorBytes(dtype, shape) ?? 0
  for (let from = 0; from < total; from += partBytes) yield [from, Math.min(partBytes, total - from)]
}

const append = async (file: FileHandle, bytes: Uint8Array): Promise<void> => {
  for (let written = 0; written < bytes.length; )
    written += (await file.write(bytes, written, bytes.length - written)).bytesWritten
}
