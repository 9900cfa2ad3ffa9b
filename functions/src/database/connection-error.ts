/** Errors of postgres.js and Node that mean: the connection is gone, another one may work. */
const connectionCodes = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
])

/** SQLSTATEs (Postgres, appendix A) after which the same transaction may succeed. */
const transientStates = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '53300', // too_many_connections
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '25P03', // idle_in_transaction_session_timeout
])

const codeOf = (error: unknown): string => {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}

export const isConnectionError = (error: unknown): boolean => {
  const code = codeOf(error)
  return connectionCodes.has(code) || code.startsWith('08') || code.startsWith('57P') || code === '25P03'
}

export const isTransientError = (error: unknown): boolean =>
  isConnectionError(error) || transientStates.has(codeOf(error))

/** unique_violation of the named constraint or index. */
export const isUniqueViolation = (error: unknown, constraint?: string): boolean =>
  codeOf(error) === '23505' &&
  (constraint === undefined || (error as { constraint_name?: string }).constraint_name === constraint)
