import { createHash, hash as hashOf } from 'node:crypto'
import type { Kernels } from '@tributary/learning/kernels/kernels'
import { UpdateScan } from '@tributary/learning/kernels/update-scan'
import { InvalidUpdateError } from '@tributary/learning/update/invalid-update-error'
import type { UpdatePart } from '@tributary/learning/update/update-body'
import type { Jobs } from '../jobs.ts'
import { type RoundPlan, SLICE_BYTES, slicesOf } from '../round-plan.ts'
import type { UpdateVerdict } from '../spooled-body.ts'
import { BodyReader } from './body-reader.ts'
import type { Control } from './control.ts'
import type { OpenFiles } from './open-files.ts'

/**
 * Checks a body in one pass over its file: length, sha256, then names, dtypes and shapes, finite values, range, norm; the first
 * of these that is wrong is told.
 * @param job `sha256`: what the body's must be; null where that is known already
 */
export function checkBody(
  kernels: Kernels,
  plan: RoundPlan,
  { body, sha256 }: Jobs['check']['job'],
  files: OpenFiles,
  control: Control,
): UpdateVerdict {
  const reader = new BodyReader(kernels, files, body)
  const { fileBytes } = reader
  if (fileBytes < body.bytes) {
    const detail = `the body has ${fileBytes} of ${body.bytes} bytes`
    return { ok: false, code: 'LENGTH_MISMATCH', tensor: null, detail }
  }
  control.beat()
  const whole = reader.whole()
  if (whole !== undefined && sha256 !== null && hashOf('sha256', whole) !== sha256) return otherSha256()
  const hash = whole === undefined && sha256 !== null ? createHash('sha256') : undefined
  /** Address of the next bytes; all of a large body goes through here when it is hashed. */
  const take = (offset: number, bytes: number): number => {
    control.beat()
    const address = reader.take(offset, bytes)
    hash?.update(kernels.bytes.subarray(address, address + bytes))
    return address
  }
  const takeAll = (from: number, to: number): void => {
    for (let at = from; at < to; at += SLICE_BYTES) take(at, Math.min(SLICE_BYTES, to - at))
  }
  const judge = (): UpdateVerdict => {
    const parts = reader.parts(plan.manifest)
    // The order of the file: a safetensors file has no gaps, so that nothing is left out.
    const inFile = parts.toSorted((a, b) => a.placed.offset - b.placed.offset)
    const [first] = inFile as [UpdatePart | undefined]
    if (hash !== undefined) takeAll(0, first?.placed.offset ?? body.bytes)
    const scan = new UpdateScan(kernels, plan.rule)
    for (const { term, offset, bytes } of slicesOf(plan.terms, inFile)) {
      scan.addSlice(term.tensor, take(offset, bytes), bytes)
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
  return hash === undefined || hash.digest('hex') === sha256 ? verdict : otherSha256()
}

function otherSha256(): UpdateVerdict {
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
