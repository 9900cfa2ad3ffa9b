import { UpdateWorkersError } from '../kernels/update-workers-error.ts'
import { NoRoomError } from '../log/no-room-error.ts'

export const isQueueFull = (error: unknown): boolean =>
  error instanceof UpdateWorkersError && error.code === 'QUEUE_FULL'

/** Whether the same work may succeed later: the threads were busy, lost over it, or ended with the attempt. */
export const isPassing = (error: unknown): boolean =>
  error instanceof UpdateWorkersError && ['QUEUE_FULL', 'DEADLINE', 'WORKER_LOST', 'CLOSED'].includes(error.code)

/**
 * Whether an addition did not come about, or a sum was spoilt by one, in a way that leaves everything which the sum is made of as it is.
 */
export const isSumLost = (error: unknown): boolean =>
  isPassing(error) || (error instanceof UpdateWorkersError && ['SUM_SPOILT', 'FILE_FAILED'].includes(error.code))

/** A NoRoomError where a thread found the disk full: errors pass between threads as text. */
export const noRoomOf = (error: unknown): unknown =>
  error instanceof UpdateWorkersError && error.code === 'FILE_FAILED' && /\b(ENOSPC|EDQUOT|EFBIG)\b/.test(error.message)
    ? new NoRoomError('the disk is full', { cause: error })
    : error
