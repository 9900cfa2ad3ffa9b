import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from './journal/logger.ts'

const closeMillis = 3000

/** Closes something at the end of the process. A peer that does not answer may not keep the process: its wait is bounded. */
export const closeWithin = async (what: string, logger: Logger, close: () => Promise<unknown>): Promise<void> => {
  const timer = new AbortController()
  const late = sleep(closeMillis, 'late', { signal: timer.signal }).catch(() => 'closed')
  try {
    if ((await Promise.race([close(), late])) === 'late') logger.warn({ what }, 'closing took too long')
  } catch (error) {
    logger.warn({ err: error, what }, 'closing failed')
  } finally {
    timer.abort()
  }
}
