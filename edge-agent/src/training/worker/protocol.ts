import type { LossOptions } from '@tributary/onnx-train/losses/loss'
import type { Affine } from '../../data/rows/row-layout.ts'
import type { ByteFeatures, EvaluationResult, TrainingSettings, TrainProgress, TrainResult } from '../trainer.ts'
import type { TrainingErrorCode } from '../training-error.ts'

/** What both kinds of job carry. `dataId` names a data set that was put before. */
type JobMessage = {
  readonly id: number
  readonly graph: Uint8Array
  /** sha256 of the graph, the key of what the worker compiled for it. */
  readonly graphKey: string
  readonly weights: Float32Array
  readonly dataId: number
  readonly loss: LossOptions
}

export type TrainMessage = JobMessage & {
  readonly kind: 'train'
  readonly settings: TrainingSettings
  /** Names or patterns of parameters that keep their values. */
  readonly frozen: readonly string[]
  readonly orders: readonly Int32Array[]
}

export type EvaluateMessage = JobMessage & {
  readonly kind: 'evaluate'
  /** What to find beside the loss. */
  readonly metrics: readonly string[]
}

export type PutDataMessage = {
  readonly kind: 'put-data'
  readonly dataId: number
  readonly features: Float32Array | ByteFeatures
  readonly labels: Int32Array | Float32Array
  readonly examples: number
}

/** The worker reads the rows of this file itself. */
export type OpenDataMessage = {
  readonly kind: 'open-data'
  readonly dataId: number
  readonly file: string
  /** Rows that take no more are kept in memory. */
  readonly memoryBytes: number
  /** What stored values stand for, where it is not what the file says. */
  readonly affine?: Affine | undefined
}

export type JobRequest = TrainMessage | EvaluateMessage

/** Messages to the worker. */
export type WorkerRequest =
  | JobRequest
  | PutDataMessage
  | OpenDataMessage
  | { readonly kind: 'drop-data'; readonly dataId: number }
  /** The job of this id is to stop at its next run. */
  | { readonly kind: 'cancel'; readonly id: number }

/** Messages from the worker; every job ends with exactly one of trained, evaluated, cancelled, failed. */
export type WorkerReport =
  | { readonly kind: 'progress'; readonly id: number; readonly progress: TrainProgress }
  | { readonly kind: 'trained'; readonly id: number; readonly result: TrainResult }
  | { readonly kind: 'evaluated'; readonly id: number; readonly result: EvaluationResult }
  | { readonly kind: 'cancelled'; readonly id: number }
  | {
      readonly kind: 'failed'
      readonly id: number
      readonly code: TrainingErrorCode
      readonly message: string
      readonly step?: number
    }
