import { createHash } from 'node:crypto'
import { lowestValues } from '@tributary/learning/exact-sum/maximum'
import type { Kernels } from '@tributary/learning/kernels/kernels'
import type { UpdatePart } from '@tributary/learning/update/update-body'
import type { Jobs } from '../jobs.ts'
import { type RoundPlan, SLICE_ADDRESS, SLICE_SUM_ADDRESS, slicesOf } from '../round-plan.ts'
import type { StoredFile } from '../spooled-body.ts'
import { addSlice } from './add-slice.ts'
import type { Control } from './control.ts'
import { OpenFiles } from './open-files.ts'
import { readParts } from './read-parts.ts'
import { SealedReader } from './sealed-reader.ts'
import { SealedWriter } from './sealed-writer.ts'
import { checkSumFile, readSumHeader } from './sum-in-memory.ts'

/**
 * Writes the sum of a shard-sum file, or of nothing, and updates that were checked: slice by slice over all of them, so that each
 * sum is read and written once and memory does not grow with model or updates.
 */
export function sumFiles(
  kernels: Kernels,
  plan: RoundPlan,
  { from, to, updates }: Jobs['sumFiles']['job'],
  control: Control,
): StoredFile {
  using open = new DisposableStack()
  const files = open.use(new OpenFiles())
  const before = from && new SealedReader(files, from)
  let at = before === null ? 0 : readSumHeader(before, plan)
  const found = createHash('sha256').update(before === null ? '' : plan.layout.header)
  const terms = updates.map(({ body, weight }) => {
    const file = new SealedReader(files, body)
    const readStart = (bytes: number): Buffer => {
      const start = Buffer.alloc(bytes)
      file.read(start, 0)
      return start
    }
    const offsets = offsetsOf(readParts(readStart, body.bytes, plan.manifest))
    return { file, weight, offsets }
  })
  const out = open.use(new SealedWriter(to))
  out.write(plan.layout.header)
  // Slices as of a body in manifest order: its offsets are replaced by those of each update.
  for (const slice of slicesOf(plan.terms, wholeTensors(plan))) {
    control.beat()
    const { term, firstElement, elements, bytes } = slice
    const sum = kernels.bytes.subarray(SLICE_SUM_ADDRESS, SLICE_SUM_ADDRESS + elements * term.sumElementBytes)
    if (before !== null) {
      before.read(sum, at)
      found.update(sum)
    } else if (term.tensor.policy === 'max') sum.set(lowestValues(term.tensor.dtype, sum.byteLength))
    else sum.fill(0)
    for (const { file, weight, offsets } of terms) {
      const offset = (offsets.get(term.tensor.name) as number) + firstElement * term.updateElementBytes
      file.read(kernels.bytes.subarray(SLICE_ADDRESS, SLICE_ADDRESS + bytes), offset)
      addSlice(kernels, slice, { from: SLICE_ADDRESS, into: SLICE_SUM_ADDRESS }, weight)
    }
    out.write(sum)
    at += sum.byteLength
  }
  if (from !== null) checkSumFile(found, from)
  return out.finish()
}

function offsetsOf(parts: readonly UpdatePart[]): ReadonlyMap<string, number> {
  return new Map(parts.map(({ tensor, placed }) => [tensor.name, placed.offset]))
}

function wholeTensors({ terms }: RoundPlan): UpdatePart[] {
  return [...terms.values()].map(({ tensor, elements, updateElementBytes }) => {
    const { name, dtype, shape } = tensor
    return { tensor, placed: { name, dtype, shape, offset: 0, byteLength: elements * updateElementBytes } }
  })
}
