import { bodyFaults, type FaultOf, type StorageFault, storageFaults } from '@tributary/functions/testing/faulty-storage'

const faults: readonly StorageFault[] = [...storageFaults, ...bodyFaults]

/**
 * Which requests to object storage fail: while it is on, every one the first time that it is made, so that its next try passes. Each kind of
 * call meets all faults in turn, over the tasks of a run.
 */
export class StoragePlan {
  /** By kind of call, how often each fault met it. */
  readonly #met = new Map<string, Map<StorageFault, number>>()
  readonly #seen = new Set<string>()
  #isOn = false

  /** From now on, until `end`. */
  begin(): void {
    this.#seen.clear()
    this.#isOn = true
  }

  end(): void {
    this.#isOn = false
  }

  readonly faultOf: FaultOf = (_, { method = '', url = '' }) => {
    const request = `${method} ${url}`
    if (!this.#isOn || this.#seen.has(request)) return undefined
    this.#seen.add(request)
    const counts = this.#met.get(kindOf(method, url)) ?? new Map<StorageFault, number>()
    this.#met.set(kindOf(method, url), counts)
    const least = Math.min(...faults.map(fault => counts.get(fault) ?? 0))
    const next = faults.find(fault => (counts.get(fault) ?? 0) === least) as StorageFault
    counts.set(next, least + 1)
    return next
  }

  toString(): string {
    const line = (name: string, cells: readonly (string | number)[]): string =>
      `${name.padEnd(36)}${cells.map(cell => String(cell).padStart(10)).join('')}\n`
    const rows = [...this.#met].sort().map(([kind, counts]) =>
      line(
        kind,
        faults.map(fault => counts.get(fault) ?? 0),
      ),
    )
    return [line('storage request', faults), ...rows].join('')
  }
}

/** The call and what kind of object it is about: `PUT sums .safetensors`. */
const kindOf = (method: string, url: string): string => {
  const [path = '', query = ''] = url.split('?')
  const [, , first = '', ...rest] = path.split('/')
  const ending = /\.[a-z]+$/.exec(rest.at(-1) ?? '')?.[0] ?? ''
  const part = /uploadId|uploads|list-type/.exec(query)?.[0] ?? ''
  return [method, decodeURIComponent(first), ending, part].filter(word => word !== '').join(' ')
}
