import type { SumRule } from '@tributary/learning/exact-sum/sum-rule'
import type { KernelMemory } from '@tributary/learning/kernels/web-assembly'
import type { Manifest } from '@tributary/tensors/manifest'
import type { Seal, SpooledBody, StoredFile, UpdateVerdict, WeightedBody } from './spooled-body.ts'

/** A sum's memory, told to a thread with every job on it; `id` is how a thread knows it again. */
export type SumMemory = { readonly id: number; readonly memory: KernelMemory }

export type SealedPath = { readonly path: string; readonly seal?: Seal }

/** With a sha256, a job that reads the file fails where it has another. */
export type StoredSum = SealedPath & { readonly sha256?: string }

/** What threads do, and what they answer. All of it may be begun again by another thread. */
export type Jobs = {
  check: {
    readonly job: { readonly body: SpooledBody; readonly sha256: string | null }
    readonly result: UpdateVerdict
  }
  /** Makes a sum zero. */
  clear: { readonly job: { readonly sum: SumMemory }; readonly result: null }
  /** One update after the other; goes on from the progress that the sum's memory tells. */
  add: { readonly job: { readonly sum: SumMemory; readonly updates: readonly WeightedBody[] }; readonly result: null }
  write: { readonly job: { readonly sum: SumMemory; readonly to: SealedPath }; readonly result: StoredFile }
  restore: { readonly job: { readonly sum: SumMemory; readonly from: StoredSum }; readonly result: null }
  sumFiles: {
    readonly job: {
      readonly from: StoredSum | null
      readonly to: SealedPath
      readonly updates: readonly WeightedBody[]
    }
    readonly result: StoredFile
  }
}

export type JobKind = keyof Jobs
export type Job = { [Kind in JobKind]: { readonly kind: Kind } & Jobs[Kind]['job'] }[JobKind]

export type RoundDefinition = { readonly manifest: Manifest; readonly rule: SumRule }

/** @property id positive; another one for each job */
export type NumberedJob = { readonly id: number; readonly job: Job }

export type WorkerRequest =
  | {
      readonly kind: 'jobs'
      readonly round: number
      /** With the first jobs of a round that a thread gets. */
      readonly definition: RoundDefinition | undefined
      /** Done one after the other, each whatever came of those before. */
      readonly jobs: readonly NumberedJob[]
    }
  | { readonly kind: 'forgetRound'; readonly round: number }
  | { readonly kind: 'forgetSum'; readonly sum: number }
  | { readonly kind: 'close' }

export type JobOutcome =
  | { readonly kind: 'done'; readonly result: Jobs[JobKind]['result'] }
  | { readonly kind: 'cancelled' }
  /** A file could not be read or written. */
  | { readonly kind: 'fileFailed'; readonly detail: string; readonly systemCode: string | undefined }
  | { readonly kind: 'failed'; readonly error: Error }

/** What came of each job of a request; `id` is that of the first. */
export type WorkerAnswer = { readonly id: number; readonly outcomes: readonly JobOutcome[] }

/** What a thread is started with. */
export type WorkerStart = { readonly control: SharedArrayBuffer }

/** Int32 words of `control`: the job that shall stop, or `CANCEL_ALL`; a count that goes up with each slice. */
export const CANCEL_WORD = 0
/** No job of the thread is wanted any more. */
export const CANCEL_ALL = -1
export const HEARTBEAT_WORD = 1
export const CONTROL_BYTES = 8

/** Int32 words at PROGRESS_ADDRESS of a sum: slices of the running additions that are in it; 1 while a slice is being added. */
export const SLICES_ADDED_WORD = 0
export const ADDING_WORD = 1
