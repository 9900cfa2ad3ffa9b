/**
 * A shared cache with expiry. Losing it costs speed, never truth: a method answers as if the cache were empty when the
 * service does not answer, except `ready`.
 */
export type Cache = {
  get(key: string): Promise<string | null>
  set(key: string, value: string, seconds: number): Promise<void>
  /** Adds to a counter that expires `seconds` after it began; the new value, null when the service does not answer. */
  add(key: string, amount: number, seconds: number): Promise<number | null>
  /** Keeps a key for `seconds`: whether it was absent, null when the service does not answer. Of callers at once one gets true. */
  addIfAbsent(key: string, seconds: number): Promise<boolean | null>
  /** @throws when the service does not answer */
  ready(signal: AbortSignal): Promise<void>
}
