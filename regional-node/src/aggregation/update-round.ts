import type { SumTotals } from '@tributary/learning/exact-sum/shard-sum'
import type { SumRule } from '@tributary/learning/exact-sum/sum-rule'
import type { Manifest } from '@tributary/tensors/manifest'
import type { Seal } from '../log/log-key.ts'
import type { FileRange } from '../log/sealed-file.ts'

export type { SumTotals }

/** A body that passed its check, and its weight. */
export type WeightedBody = { readonly body: FileRange; readonly weight: number }

/** A shard-sum file on disk, and what it counts. */
export type SumFile = { readonly path: string; readonly seal: Seal; readonly totals: SumTotals }

export type SealedPath = { readonly path: string; readonly seal: Seal }

/** What the file holds, before it is sealed. */
export type WrittenFile = { readonly sha256: string; readonly bytes: number }

export type UpdateVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: string; readonly tensor: string | null; readonly detail: string }

/** A sum in memory. What is added is in it once the call resolves. */
export type LiveSum = Disposable & {
  readonly totals: SumTotals
  readonly add: (body: FileRange, weight: number) => Promise<void>
  /** @throws Error when the file is not of this round */
  readonly restore: (from: SumFile) => Promise<void>
  /** Writes the sum to a new file, durably. */
  readonly write: (to: SealedPath) => Promise<WrittenFile>
}

/** The arithmetic of one attempt, away from whoever asks for it. */
export type UpdateRound = Disposable & {
  /** Bytes of a sum in memory. */
  readonly sumBytes: number
  /** Checks a body: names, dtypes, shapes, finite values, range, norm. */
  readonly check: (body: FileRange, signal: AbortSignal) => Promise<UpdateVerdict>
  readonly openSum: () => Promise<LiveSum>
  /** Writes, durably, a sum file with further updates in it: slice by slice, in constant memory. `from` stays as it is. */
  readonly sumFiles: (job: {
    readonly from: SumFile | null
    readonly to: SealedPath
    readonly updates: readonly WeightedBody[]
  }) => Promise<WrittenFile & { readonly totals: SumTotals }>
}

export type UpdateRounds = {
  /** @throws SumError SUM_WOULD_OVERFLOW when the rule leaves no room for an exact sum */
  readonly open: (manifest: Manifest, rule: SumRule) => UpdateRound
}
