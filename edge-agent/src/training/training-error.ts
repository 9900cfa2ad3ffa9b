/** Why a job was not done. */
export type TrainingErrorCode =
  | 'MODEL_UNSUPPORTED'
  | 'WEIGHTS_MISMATCH'
  | 'DATA_MISMATCH'
  | 'SETTINGS_INVALID'
  | 'DIVERGED'
  | 'BUSY'
  | 'STALLED'
  | 'CRASHED'
  | 'MEMORY_LIMIT'
  | 'DISPOSED'

/** A job that was refused or failed. The message says what is wrong and what to do. */
export class TrainingError extends Error {
  override readonly name: string = 'TrainingError'
  readonly code: TrainingErrorCode

  constructor(code: TrainingErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The loss or the weights stopped being finite; the job's weights are not to be used. */
export class TrainingDivergedError extends TrainingError {
  override readonly name = 'TrainingDivergedError'
  /** Step at which it was noticed, from 1. */
  readonly step: number

  constructor(step: number) {
    super('DIVERGED', `Training diverged by step ${step}: the loss is no longer finite. Use a smaller learning rate.`)
    this.step = step
  }
}
