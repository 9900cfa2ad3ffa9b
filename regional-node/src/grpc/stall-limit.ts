import { TributaryError } from '@tributary/contracts/errors'

/** Fails when `work` does not come within the time, or the signal aborts. Time-outs watch progress, not total time. */
export const withinMillis = async <Value>(
  work: Promise<Value>,
  millis: number,
  signal: AbortSignal,
): Promise<Value> => {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    reject(new TributaryError('UNAVAILABLE', { detail: `Nothing moved for ${millis} ms. Resume.` }))
  }, millis)
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}
