import { createHash } from 'node:crypto'
import type { Kernels } from '@tributary/learning/kernels/kernels'
import { UpdateScan } from '@tributary/learning/kernels/update-scan'
import { InvalidUpdateError } from '@tributary/learning/update/invalid-update-error'
import type { UpdatePart } from '@tributary/learning/update/update-body'
import { type RoundPlan, SLICE_ADDRESS, SLICE_BYTES, slicesOf } from '../round-plan.ts'
import type { SpooledBody, UpdateVerdict } from '../spooled-body.ts'
import type { Control } from './control.ts'
import { readParts } from './read-parts.ts'
import { SealedReader } from './sealed-reader.ts'

/**
 * Checks a body in one pass over its file: length, sha256, then names, dtypes and shapes, finite values, range, norm; the first
 * of these that is wrong is told.
 * @param sha256 what the body's must be; null where that is known already
 */
export function checkBody(
  kernels: Kernels,
  plan: RoundPlan,
  body: SpooledBody,
  sha256: string | null,
  control: Control,
): UpdateVerdict {
  using file = new SealedReader(body)
  if (file.bytes < body.bytes) {
    const detail = `the body has ${file.bytes} of ${body.bytes} bytes`
    return { ok: false, code: 'LENGTH_MISMATCH', tensor: null, detail }
  }
  const hash = sha256 === null ? undefined : createHash('sha256')
  /** Reads the next bytes into the slice; all of the body goes through here when it is hashed. */
  const take = (offset: number, bytes: number): void => {
    control.beat()
    const slice = kernels.bytes.subarray(SLICE_ADDRESS, SLICE_ADDRESS + bytes)
    file.read(slice, offset)
    hash?.update(slice)
  }
  const takeAll = (from: number, to: number): void => {
    for (let at = from; at < to; at += SLICE_BYTES) take(at, Math.min(SLICE_BYTES, to - at))
  }
  const judge = (): UpdateVerdict => {
    const parts = readParts(file, body.bytes, plan.manifest)
    // The order of the file: a safetensors file has no gaps, so that nothing is left out.
    const inFile = parts.toSorted((a, b) => a.placed.offset - b.placed.offset)
    const [first] = inFile as [UpdatePart | undefined]
    if (hash !== undefined) takeAll(0, first?.placed.offset ?? body.bytes)
    const scan = new UpdateScan(kernels, plan.rule)
    for (const { term, offset, bytes } of slicesOf(plan.terms, inFile)) {
      take(offset, bytes)
      scan.addSlice(term.tensor, SLICE_ADDRESS, bytes)
    }
    return verdictOf(() => scan.finish(plan.manifest))
  }
  let verdict: UpdateVerdict
  try {
    verdict = judge()
  } catch (error) {
    if (!(error instanceof InvalidUpdateError)) throw error
    // The header is wrong, and nothing was hashed yet.
    if (hash !== undefined) takeAll(0, body.bytes)
    verdict = invalid(error)
  }
  if (hash === undefined || hash.digest('hex') === sha256) return verdict
  return { ok: false, code: 'CHECKSUM_MISMATCH', tensor: null, detail: 'the sha256 of the body is another one' }
}

function verdictOf(finish: () => number): UpdateVerdict {
  try {
    return { ok: true, norm: finish() }
  } catch (error) {
    if (!(error instanceof InvalidUpdateError)) throw error
    return invalid(error)
  }
}

function invalid({ code, tensor, message: detail }: InvalidUpdateError): UpdateVerdict {
  return { ok: false, code, tensor, detail }
}
