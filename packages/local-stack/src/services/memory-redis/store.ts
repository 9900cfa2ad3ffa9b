type Value = string | Map<string, string>

/** Strings and hashes with expiry; the oldest key goes when there are too many. */
export class Store {
  readonly #entries = new Map<string, { value: Value; expiresAtMs: number }>()
  readonly #maxKeys: number

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys
  }

  text(key: string): string | undefined {
    const value = this.#find(key)?.value
    if (value instanceof Map) throw wrongType()
    return value
  }

  /** The hash of this key; a new one is kept when `create`. */
  hash(key: string, create: boolean): Map<string, string> {
    const value = this.#find(key)?.value
    if (typeof value === 'string') throw wrongType()
    const hash = value ?? new Map<string, string>()
    if (!value && create) this.set(key, hash)
    return hash
  }

  /** @param expiresAtMs Infinity keeps it until it is pushed out */
  set(key: string, value: Value, expiresAtMs = Number.POSITIVE_INFINITY): void {
    this.#entries.delete(key)
    this.#entries.set(key, { value, expiresAtMs })
    if (this.#entries.size > this.#maxKeys)
      for (const oldest of this.#entries.keys()) return void this.#entries.delete(oldest)
  }

  has(key: string): boolean {
    return this.#find(key) !== undefined
  }

  delete(key: string): boolean {
    return this.has(key) && this.#entries.delete(key)
  }

  /** Undefined without the key, Infinity without expiry. */
  expiresAtMs(key: string): number | undefined {
    return this.#find(key)?.expiresAtMs
  }

  expireAt(key: string, expiresAtMs: number): boolean {
    const entry = this.#find(key)
    if (entry) entry.expiresAtMs = expiresAtMs
    return entry !== undefined
  }

  clear(): void {
    this.#entries.clear()
  }

  #find(key: string) {
    const entry = this.#entries.get(key)
    if (!entry || entry.expiresAtMs > Date.now()) return entry
    this.#entries.delete(key)
    return undefined
  }
}

function wrongType(): Error {
  return new Error('WRONGTYPE Operation against a key holding the wrong kind of value')
}
