import type { Logger } from 'pino'
import { isRetryable } from '../../transport/call-error.ts'
import type { JobOutcome } from './job-slot.ts'

/** Says why a job ended without a result, and whether another try may help. */
export const logFailure = (
  log: Logger,
  what: 'training' | 'evaluation',
  error: unknown,
  signal: AbortSignal,
): JobOutcome => {
  if (signal.aborted) {
    log.info({ reason: (signal.reason as Error).message }, `${what} stopped`)
    return 'again'
  }
  log.error({ err: error }, `${what} failed`)
  return isRetryable(error) || isTokenRefusal(error) ? 'again' : 'over'
}

const isTokenRefusal = (error: unknown): boolean => (error as { code?: unknown })?.code === 'TOKEN_INVALID'
