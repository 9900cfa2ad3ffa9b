export type UpdateWorkersErrorCode =
  /** Too much waits already; nothing was done. */
  | 'QUEUE_FULL'
  /** The thread made no progress: its file cannot be had. */
  | 'DEADLINE'
  /** Several threads in a row were lost over the same job. */
  | 'WORKER_LOST'
  /** A file cannot be read or written; the message says which. */
  | 'FILE_FAILED'
  /** An update is in the sum in part: the sum has to be made anew from what is durable. */
  | 'SUM_SPOILT'
  /** The workers, the round or the sum were closed before the job was done. */
  | 'CLOSED'

/** Why work on an update or a sum was not done. */
export class UpdateWorkersError extends Error {
  override readonly name = 'UpdateWorkersError'
  readonly code: UpdateWorkersErrorCode

  /** What the operating system says of a file, as ENOSPC. */
  readonly systemCode: string | undefined

  constructor(
    code: UpdateWorkersErrorCode,
    message: string,
    { cause, systemCode }: ErrorOptions & { systemCode?: string | undefined } = {},
  ) {
    super(message, { cause })
    this.code = code
    this.systemCode = systemCode
  }
}
