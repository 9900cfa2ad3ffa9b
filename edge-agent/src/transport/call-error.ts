import { type ServiceError, status } from '@grpc/grpc-js'
import { type ErrorCode, errorCatalogue } from '@tributary/contracts/errors'
import { errorMetadata } from '@tributary/contracts/grpc-status'

/** A call that failed without a verdict. */
export class CallError extends Error {
  override readonly name = 'CallError'
  /** gRPC status code. */
  readonly status: number
  /** Code of the catalogue where the node named one. */
  readonly code: ErrorCode | undefined
  /** Whether the same call may succeed later. */
  readonly retryable: boolean

  constructor(
    message: string,
    detail: { status: number; code?: ErrorCode | undefined; retryable: boolean; cause?: unknown },
  ) {
    super(message, detail.cause === undefined ? {} : { cause: detail.cause })
    this.status = detail.status
    this.code = detail.code
    this.retryable = detail.retryable
  }
}

const retryableStatuses: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.RESOURCE_EXHAUSTED,
  status.INTERNAL,
  status.UNKNOWN,
  status.CANCELLED,
  status.DATA_LOSS,
])

/** A grpc-js error in the words of the catalogue. */
export const callErrorOf = (method: string, endpoint: string, error: ServiceError): CallError => {
  const named = text(error.metadata?.get(errorMetadata.code)[0])
  const code = named !== undefined && Object.hasOwn(errorCatalogue, named) ? (named as ErrorCode) : undefined
  const detail = text(error.metadata?.get(errorMetadata.detail)[0]) ?? error.details ?? error.message
  return new CallError(
    `${method} at ${endpoint}: ${code ?? status[error.code] ?? error.code}: ${detail.slice(0, 500)}`,
    {
      status: error.code ?? status.UNKNOWN,
      code,
      retryable: code === undefined ? retryableStatuses.has(error.code) : errorCatalogue[code].retryable,
      cause: error,
    },
  )
}

/** Whether another try may help; anything that is not a refused call (a full disk, a bug) is not. */
export const isRetryable = (error: unknown): boolean => error instanceof CallError && error.retryable

const text = (value: string | Buffer | undefined): string | undefined =>
  value === undefined ? undefined : value.toString('utf8')
