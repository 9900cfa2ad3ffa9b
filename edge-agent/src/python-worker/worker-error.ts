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

/** A worker that failed or was ended. Message and log stay on the device but for what the owner lets out. */
export class WorkerError extends Error {
  override readonly name = 'WorkerError'
  readonly code: WorkerErrorCode
  /** The end of what the worker printed. */
  readonly logTail: string
  /** Of DIVERGED, from 1. */
  readonly step: number | undefined
  /** Whether message and log may leave the device. */
  readonly sendLog: boolean

  constructor(
    code: WorkerErrorCode,
    message: string,
    { logTail = '', step, sendLog = false }: { logTail?: string; step?: number | undefined; sendLog?: boolean } = {},
  ) {
    super(message)
    this.code = code
    this.logTail = logTail
    this.step = step
    this.sendLog = sendLog
  }
}
