import { setTimeout as delay } from 'node:timers/promises'
import { TributaryError } from '@tributary/contracts/errors'

/** Beyond what the SDK repeats by itself. */
const mostTries = 6
const budgetMillis = 60_000
const pauseMillis = (tries: number): number => Math.min(4000, 100 * 2 ** tries) * (0.5 + Math.random() / 2)
/** Answers of an object store after which the same request may succeed; 409 and 412 come from writes that cross. */
const passingStatuses = new Set([408, 409, 412, 425, 429])

/**
 * Repeats a request to object storage while that may help, within a number of tries and a time. What is sent must have one effect
 * however often it arrives, as parts, ranges and completions have.
 * @throws what the last try threw
 */
export const repeated = async <T>(request: () => Promise<T>, signal: AbortSignal): Promise<T> => {
  const began = performance.now()
  for (let tries = 1; ; tries += 1) {
    try {
      return await request()
    } catch (error) {
      const over = tries === mostTries || performance.now() - began > budgetMillis
      if (over || signal.aborted || !mayPass(error)) throw error
      await delay(pauseMillis(tries), undefined, { signal })
    }
  }
}

const mayPass = (error: unknown): boolean => {
  if (error instanceof TributaryError) return error.code === 'UNAVAILABLE'
  const { code, name, $metadata } = error as {
    code?: unknown
    name?: string
    $metadata?: { httpStatusCode?: number }
  }
  const status = $metadata?.httpStatusCode
  if (status !== undefined && status >= 400) return status >= 500 || passingStatuses.has(status)
  // No answer, or one that was cut.
  return $metadata !== undefined || typeof code === 'string' || name === 'TimeoutError'
}
