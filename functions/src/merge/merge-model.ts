import { TributaryError } from '@tributary/contracts/errors'
import type { ObjectRef } from '@tributary/contracts/ids'
import { PartMerge } from '@tributary/learning/exact-sum/merge'
import { type MergePart, planMerge } from '@tributary/learning/exact-sum/merge-plan'
import { checkShardSumHeader, shardSumLayout } from '@tributary/learning/exact-sum/shard-sum-layout'
import { SumError } from '@tributary/learning/exact-sum/sum-error'
import type { SumRule } from '@tributary/learning/exact-sum/sum-rule'
import { attemptTotals } from '@tributary/learning/exact-sum/totals'
import type { ServerOptimiser } from '@tributary/learning/server-optimiser/server-optimiser'
import { optimiserStateLayout } from '@tributary/learning/server-optimiser/state-layout'
import { type Manifest, weightsLayout } from '@tributary/tensors/manifest'
import type { ObjectStore } from '../adapters/object-store.ts'
import type { SummedShard } from './merge-input.ts'
import type { ProgressNotes } from './merge-progress.ts'
import { hashObject, MergeSource } from './merge-source.ts'
import { type Read, readAhead } from './read-ahead.ts'
import { SpareBuffers } from './spare-buffers.ts'
import { VersionFile } from './version-file.ts'

/** Of the version file at a time; a part of a shard sum is up to twice as long, one of an optimiser's state four times. */
const partBytes = 2 * 1024 * 1024
/** Reads in flight: with the parts above less than 100 MB are held at once, whatever the size of the model. */
const readWindow = 8

export type MergeWork = {
  readonly manifest: Manifest
  readonly rule: SumRule
  readonly optimiser: ServerOptimiser
  readonly base: ObjectRef
  /** State of the same optimiser that belongs to the base; null: it begins. */
  readonly state: ObjectRef | null
  readonly shards: readonly SummedShard[]
  /** Where the results go; the state only of an optimiser that keeps one. */
  readonly keys: { readonly weights: string; readonly state: string }
}

export type MergeRun = {
  readonly signal: AbortSignal
  /** Called after each part and each piece; what it throws ends the run, and what was stored stays for the next. */
  readonly onProgress: () => Promise<void>
}

export type MergedObjects = { readonly weights: ObjectRef; readonly state: ObjectRef | null }

/**
 * Makes the next version of a model: base + step of the server optimiser over Σ sums / Σ weights, part by part, without ever holding
 * a model whole. It goes on where an earlier run of the same merge left off. Nothing becomes visible unless every input is what
 * was declared: in a run from the first part to the last all bytes are hashed as they pass; otherwise each input is read once
 * more for its hash, and so are the results, since SHA-256 cannot be taken up in the middle at full speed.
 * @throws SumError, TributaryError CHECKSUM_MISMATCH, NOT_FOUND, UNAVAILABLE; UploadGoneError when another run completed first
 */
export const mergeModel = async (
  store: ObjectStore,
  work: MergeWork,
  notes: ProgressNotes,
  run: MergeRun,
): Promise<MergedObjects> => {
  const { signal } = run
  const { manifest, rule, optimiser, keys, shards } = work
  const { weight } = attemptTotals(
    shards.map(({ accepted, weight }) => ({ updates: accepted, weight })),
    rule,
  )
  const buffers = new SpareBuffers()
  const source = (object: ObjectRef) => new MergeSource(store, object, buffers)
  const sums = shards.flatMap(({ sum, accepted }) => (sum === null || accepted === 0 ? [] : [source(sum)]))
  const base = source(work.base)
  const stateLayout = optimiserStateLayout(manifest, optimiser)
  const before = work.state === null || stateLayout === null ? null : source(work.state)
  checkSize(base.object, weightsLayout(manifest).fileBytes)
  if (before !== null) checkSize(before.object, stateLayout?.fileBytes ?? 0)

  const parts = planMerge(manifest, partBytes, optimiser)
  const open = { store, notes, signal }
  await using weightsFile = await VersionFile.open({
    ...open,
    file: 'weights',
    key: keys.weights,
    bytes: base.object.bytes,
  })
  await using stateFile =
    stateLayout && (await VersionFile.open({ ...open, file: 'state', key: keys.state, bytes: stateLayout.fileBytes }))
  const left = parts.filter(
    part =>
      part.weights.end > weightsFile.missingFrom || (stateFile !== null && part.state.end > stateFile.missingFrom),
  )
  const firstLeft = left[0]
  const inputs = [base, ...sums, ...(before === null ? [] : [before])]
  const whole = firstLeft === parts[0]
  if (firstLeft !== undefined) {
    const rest = parts.slice(parts.indexOf(firstLeft))
    await mergeParts(rest, { ...work, sums, base, before, buffers, weight, weightsFile, stateFile, whole }, run)
  }
  if (whole) for (const input of inputs) input.check()
  else if (!weightsFile.finished || (stateFile !== null && !stateFile.finished)) {
    await verifyInputs(store, inputs, notes, run)
  }
  const finish = async (file: VersionFile): Promise<ObjectRef> => {
    const object = { objectKey: file.key, bytes: file.bytes }
    return { ...object, sha256: (await file.finish()) ?? (await hashObject(store, object, run)) }
  }
  // The weights last: where they are, everything is.
  const state = stateFile && (await finish(stateFile))
  return { weights: await finish(weightsFile), state }
}

type Parts = {
  readonly manifest: Manifest
  readonly rule: SumRule
  readonly optimiser: ServerOptimiser
  readonly sums: readonly MergeSource[]
  readonly base: MergeSource
  readonly before: MergeSource | null
  readonly buffers: SpareBuffers
  readonly weight: bigint
  readonly weightsFile: VersionFile
  readonly stateFile: VersionFile | null
  /** From the first part on, so that all bytes pass. */
  readonly whole: boolean
}

const mergeParts = async (
  parts: readonly MergePart[],
  { manifest, rule, optimiser, sums, base, before, buffers, weight, weightsFile, stateFile, whole }: Parts,
  { signal, onProgress }: MergeRun,
): Promise<void> => {
  const layout = shardSumLayout(manifest)
  const stateHeader = optimiserStateLayout(manifest, optimiser)?.header
  const stateHeaderEnd = stateHeader?.byteLength ?? 0

  // In the order in which they are used below.
  function* reads(): Generator<Read<Uint8Array<ArrayBuffer>>> {
    for (const sum of sums) yield sum.range(0, layout.header.byteLength)
    if (before !== null) yield before.range(0, stateHeaderEnd)
    for (const part of parts) {
      for (const sum of sums) yield sum.range(part.sum.begin, part.sum.end)
      yield base.range(part.weights.begin, part.weights.end)
      if (before !== null) yield before.range(part.state.begin, part.state.end)
    }
  }
  await using ranges = readAhead(reads(), readWindow, signal)
  const take = async (source: MergeSource): Promise<Uint8Array<ArrayBuffer>> => {
    const { value, done } = await ranges.next()
    if (done) throw new Error('the merge took more ranges than it planned')
    if (whole) source.passed(value)
    return value
  }

  for (const sum of sums) checkShardSumHeader(await take(sum), sum.object.bytes, layout)
  if (before !== null && Buffer.compare(await take(before), stateHeader as Uint8Array) !== 0)
    throw changed(before.object)
  const [first] = parts as [MergePart]
  weightsFile.start(first.weights.begin)
  stateFile?.start(whole ? 0 : first.state.begin)
  if (whole) await stateFile?.write(stateHeader as Uint8Array)
  const merge = new PartMerge(rule, optimiser)
  for (const part of parts) {
    merge.begin(part)
    for (const sum of sums) {
      const bytes = await take(sum)
      merge.addShard(bytes)
      buffers.give(bytes)
    }
    const weights = await take(base)
    const state = before === null ? undefined : await take(before)
    const merged = merge.finish(weights, weight, state)
    await weightsFile.write(merged.weights)
    if (merged.state !== null) await stateFile?.write(merged.state)
    buffers.give(weights)
    if (state !== undefined) buffers.give(state)
    await onProgress()
  }
}

const verifyInputs = async (
  store: ObjectStore,
  inputs: readonly MergeSource[],
  notes: ProgressNotes,
  run: MergeRun,
): Promise<void> => {
  const { verified } = await notes.read()
  for (const { object } of inputs) {
    if (verified.includes(object.objectKey)) continue
    if ((await hashObject(store, object, run)) !== object.sha256) throw changed(object)
    await notes.noteVerified(object.objectKey)
  }
}

/** What a failed merge says about the attempt: a merge of the same objects would fail again. */
export const isLastingMergeError = (error: unknown): error is SumError | TributaryError =>
  error instanceof SumError ||
  (error instanceof TributaryError && (error.code === 'CHECKSUM_MISMATCH' || error.code === 'NOT_FOUND'))

const checkSize = ({ objectKey, bytes }: ObjectRef, expected: number): void => {
  if (bytes === expected) return
  const detail = `object ${objectKey} has ${bytes} bytes, its manifest says ${expected}`
  throw new TributaryError('CHECKSUM_MISMATCH', { detail })
}

const changed = ({ objectKey }: ObjectRef): TributaryError =>
  new TributaryError('CHECKSUM_MISMATCH', { detail: `object ${objectKey} has not the declared sha256` })
