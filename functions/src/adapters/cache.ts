/**
 * A shared cache with expiry. Losing it costs speed, never truth: a method answers as if the cache were empty when the
 * service does not answer, except `ready`.
 */
export type Cache = {
  get(key: string): Promise<string | null>
  set(key: string, value: string, seconds: number): Promise<void>
  /** Adds one to a counter that expires `seconds` after its first increment; null when the service does not answer. */
  increment(key: string, seconds: number): Promise<number | null>
  /** @throws when the service does not answer */
  ready(signal: AbortSignal): Promise<void>
}
