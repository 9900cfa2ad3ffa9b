import type { Cache } from '../adapters/cache.ts'
import type { Clock } from '../adapters/clock.ts'
import { systemClock } from '../adapters/clock.ts'

export type MemoryCache = Cache & { clock: Clock; names(): readonly string[] }

/** A cache in memory that several instances share; its time is the clock that it is given. */
export const memoryCache = (): MemoryCache => {
  const kept = new Map<string, { value: string; until: number }>()
  const now = () => cache.clock.now().getTime()
  const live = (key: string) => {
    const found = kept.get(key)
    return found !== undefined && found.until > now() ? found : undefined
  }
  const cache: MemoryCache = {
    clock: systemClock,
    names: () => [...kept.keys()],
    get: async key => live(key)?.value ?? null,
    set: async (key, value, seconds) => void kept.set(key, { value, until: now() + seconds * 1000 }),
    add: async (key, amount, seconds) => {
      const found = live(key)
      const value = Number(found?.value ?? 0) + amount
      kept.set(key, { value: String(value), until: found?.until ?? now() + seconds * 1000 })
      return value
    },
    addIfAbsent: async (key, seconds) => {
      if (live(key) !== undefined) return false
      kept.set(key, { value: '1', until: now() + seconds * 1000 })
      return true
    },
    ready: async () => undefined,
  }
  return cache
}
