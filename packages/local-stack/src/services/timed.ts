import type { Report } from './service-report.ts'

/**
 * Runs one part of a start and reports the seconds that it took.
 * @param detail what to say about it; of the result where it is a function
 */
export const timed = async <Result>(
  report: Report,
  service: string,
  detail: string | ((result: Result) => string),
  action: () => Promise<Result>,
): Promise<Result> => {
  const before = performance.now()
  const result = await action()
  const seconds = (performance.now() - before) / 1000
  report({ kind: 'started', service, seconds, detail: typeof detail === 'string' ? detail : detail(result) })
  return result
}
