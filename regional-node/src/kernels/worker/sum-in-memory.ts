import { createHash, type Hash } from 'node:crypto'
import { lowestValues } from '@tributary/learning/exact-sum/maximum'
import { checkShardSumHeader } from '@tributary/learning/exact-sum/shard-sum-layout'
import type { Kernels } from '@tributary/learning/kernels/kernels'
import { ADDING_WORD, type SealedPath, SLICES_ADDED_WORD, type StoredSum } from '../jobs.ts'
import { PROGRESS_ADDRESS, type RoundPlan, SLICE_BYTES, type SumTerm, slicesOf, slicesOfUpdate } from '../round-plan.ts'
import type { StoredFile, WeightedBody } from '../spooled-body.ts'
import { addSlice } from './add-slice.ts'
import { BodyReader } from './body-reader.ts'
import type { Control } from './control.ts'
import { FileFailedError } from './file-failed-error.ts'
import { OpenFiles } from './open-files.ts'
import { SealedReader } from './sealed-reader.ts'
import { SealedWriter } from './sealed-writer.ts'

/** Makes a sum zero, whatever was in its memory before. */
export function clearSum(kernels: Kernels, { terms }: RoundPlan, control: Control): void {
  for (const term of terms.values()) {
    for (const range of rangesOf(term)) {
      control.beat()
      const target = kernels.bytes.subarray(range.address, range.address + range.bytes)
      if (term.tensor.policy === 'max') target.set(lowestValues(term.tensor.dtype, range.bytes))
      else target.fill(0)
    }
  }
}

/**
 * Adds updates that were checked, one after the other. Another thread may have done a part: the progress in the memory says how many
 * slices, counted through all of them, and the order of slices follows from the bodies alone.
 */
export function addBodies(
  kernels: Kernels,
  plan: RoundPlan,
  updates: readonly WeightedBody[],
  files: OpenFiles,
  control: Control,
): void {
  const progress = new Int32Array(kernels.bytes.buffer, PROGRESS_ADDRESS, 2)
  const each = slicesOfUpdate(plan)
  for (const [index, update] of updates.entries()) {
    const before = index * each
    if (Atomics.load(progress, SLICES_ADDED_WORD) < before + each)
      addBody(kernels, plan, update, { progress, before, files, control })
  }
}

function addBody(
  kernels: Kernels,
  plan: RoundPlan,
  { body, weight }: WeightedBody,
  { progress, before, files, control }: { progress: Int32Array; before: number; files: OpenFiles; control: Control },
): void {
  const reader = new BodyReader(kernels, files, body)
  const added = Atomics.load(progress, SLICES_ADDED_WORD)
  let index = before
  for (const slice of slicesOf(plan.terms, reader.parts(plan.manifest))) {
    index += 1
    if (index <= added) continue
    const from = reader.take(slice.offset, slice.bytes)
    // Nobody may wait any more for a thread whose file came so late.
    control.beat()
    Atomics.store(progress, ADDING_WORD, 1)
    const into = slice.term.address + slice.firstElement * slice.term.sumElementBytes
    addSlice(kernels, slice, { from, into }, weight)
    Atomics.store(progress, SLICES_ADDED_WORD, index)
    Atomics.store(progress, ADDING_WORD, 0)
  }
}

/** Writes the shard-sum file, durably. */
export function writeSum(kernels: Kernels, plan: RoundPlan, to: SealedPath, control: Control): StoredFile {
  using file = new SealedWriter(to)
  file.write(plan.layout.header)
  for (const term of plan.terms.values()) {
    for (const { address, bytes } of rangesOf(term)) {
      control.beat()
      file.write(kernels.bytes.subarray(address, address + bytes))
    }
  }
  return file.finish()
}

/**
 * Reads a shard-sum file.
 * @throws SumError SHARD_SUM_MALFORMED
 * @throws FileFailedError where the file has another sha256: what is in the memory then is no sum
 */
export function restoreSum(kernels: Kernels, plan: RoundPlan, from: StoredSum, control: Control): void {
  using files = new OpenFiles()
  const file = new SealedReader(files, from)
  let at = readSumHeader(file, plan)
  const found = createHash('sha256').update(plan.layout.header)
  for (const term of plan.terms.values()) {
    for (const { address, bytes } of rangesOf(term)) {
      control.beat()
      const range = kernels.bytes.subarray(address, address + bytes)
      file.read(range, at)
      found.update(range)
      at += bytes
    }
  }
  checkSumFile(found, from)
}

/** @throws FileFailedError where the file that was read has another sha256 than is known of it */
export function checkSumFile(found: Hash, { path, sha256 }: StoredSum): void {
  if (sha256 !== undefined && found.digest('hex') !== sha256)
    throw new FileFailedError(`${path} does not have its sha256`)
}

/**
 * Checks the header of a shard-sum file.
 * @returns where its data begin
 * @throws SumError SHARD_SUM_MALFORMED
 */
export function readSumHeader(file: SealedReader, { layout }: RoundPlan): number {
  const { bytes } = file
  const header = Buffer.alloc(layout.header.byteLength)
  if (bytes === layout.fileBytes) file.read(header, 0)
  checkShardSumHeader(header, bytes, layout)
  return header.byteLength
}

/** A term's memory, in ranges of SLICE_BYTES at most. */
function* rangesOf({ address, elements, sumElementBytes }: SumTerm): Generator<{ address: number; bytes: number }> {
  const length = elements * sumElementBytes
  for (let at = 0; at < length; at += SLICE_BYTES) {
    yield { address: address + at, bytes: Math.min(SLICE_BYTES, length - at) }
  }
}
