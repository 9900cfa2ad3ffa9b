import { scrubLog } from './scrub-log.ts'

/** Why a worker gave no result: what it says itself, and what the agent sees of it. */
export type WorkerErrorCode =
  | 'MODEL_MISMATCH'
  | 'DATA_MISMATCH'
  | 'SETTINGS_INVALID'
  | 'TRAINER_MISSING'
  | 'TRAINER_FAILED'
  | 'DIVERGED'
  | 'MEMORY_LIMIT'
  | 'TIME_LIMIT'
  | 'STALLED'
  | 'CRASHED'
  | 'PROTOCOL'

type Context = {
  readonly logTail?: string
  readonly step?: number | undefined
  readonly sendLog?: boolean
  /** Values that never leave the device. */
  readonly secrets?: readonly string[]
}

/** A worker that failed or was ended. Message and log stay on the device but for what the owner lets out: `sent`. */
export class WorkerError extends Error {
  override readonly name = 'WorkerError'
  readonly code: WorkerErrorCode
  /** The end of what the worker printed. */
  readonly logTail: string
  /** Of DIVERGED, from 1. */
  readonly step: number | undefined
  /** Whether message and log may leave the device. */
  readonly sendLog: boolean
  /** Private, so that no log prints it. */
  readonly #secrets: readonly string[]

  constructor(
    code: WorkerErrorCode,
    message: string,
    { logTail = '', step, sendLog = false, secrets = [] }: Context = {},
  ) {
    super(message)
    this.code = code
    this.logTail = logTail
    this.step = step
    this.sendLog = sendLog
    this.#secrets = secrets
  }

  /** What may leave the device: nothing where the owner says so, otherwise without paths and secrets. */
  get sent(): { readonly message: string; readonly log: string } {
    if (!this.sendLog) return { message: '', log: '' }
    return { message: scrubLog(this.message, this.#secrets), log: scrubLog(this.logTail, this.#secrets) }
  }
}
