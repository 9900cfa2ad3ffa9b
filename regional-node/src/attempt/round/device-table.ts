const idBytes = 16
const firstCapacity = 64
/** Devices that are sorted at a time: some milliseconds. */
const runLength = 8192
/** Offsets of the dashes in `01900000-0000-7000-8000-000000000000`. */
const dashes = new Set([8, 13, 18, 23])
const uuidLength = 36

const nibble = (code: number): number => (code <= 57 ? code - 48 : code - 87)
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/**
 * A number for each of many devices, in 24 bytes each and an index of 8 to 16: what a node keeps in memory of a device that
 * takes part. Devices come in the order in which they were first set; 0 is the same as not being there.
 */
export class DeviceTable {
  #ids = new Uint8Array(idBytes * firstCapacity)
  #values = new Float64Array(firstCapacity)
  /** Open addressing: entry + 1 by hash, 0 where free; twice as many places as entries. */
  #index = new Uint32Array(firstCapacity * 2)
  #entries = 0
  #size = 0
  readonly #wanted = new Uint8Array(idBytes)

  /** Devices whose number is not 0. */
  get size(): number {
    return this.#size
  }

  has(device: string): boolean {
    return this.get(device) !== 0
  }

  /** 0 where the device is not there. */
  get(device: string): number {
    const entry = this.#find(device)
    return entry < 0 ? 0 : (this.#values[entry] as number)
  }

  /** @param value up to 2^53 − 1; 0 takes the device out */
  set(device: string, value: number): void {
    let entry = this.#find(device)
    if (entry < 0) {
      if (value === 0) return
      entry = this.#add()
    }
    const before = this.#values[entry] as number
    this.#size += Number(value !== 0) - Number(before !== 0)
    this.#values[entry] = value
  }

  /** Devices in the order in which they were first set. */
  *devices(): Generator<string> {
    for (let entry = 0; entry < this.#entries; entry += 1) {
      if (this.#values[entry] !== 0) yield this.#idOf(entry)
    }
  }

  /**
   * Devices by id: those that were there when it began. Sorts a run of them at a time, and merges as it goes.
   * @param pause awaited between runs, so that other work gets its turn
   */
  async *sorted(pause: () => Promise<unknown>): AsyncGenerator<string> {
    const order = new Uint32Array(this.#entries)
    for (let entry = 0; entry < order.length; entry += 1) order[entry] = entry
    const runs: { next: number; readonly end: number }[] = []
    for (let start = 0; start < order.length; start += runLength) {
      const end = Math.min(start + runLength, order.length)
      order.subarray(start, end).sort((a, b) => this.#compare(a, b))
      runs.push({ next: start, end })
      await pause()
    }
    for (let left = order.length; left > 0; left -= 1) {
      let least: (typeof runs)[number] | undefined
      for (const run of runs) {
        if (run.next === run.end) continue
        if (least === undefined || this.#compare(order[run.next] as number, order[least.next] as number) < 0)
          least = run
      }
      if (least === undefined) return
      const entry = order[least.next] as number
      least.next += 1
      if (this.#values[entry] !== 0) yield this.#idOf(entry)
    }
  }

  #find(device: string): number {
    this.#read(device)
    const mask = this.#index.length - 1
    for (let place = hashOf(this.#wanted, 0) & mask; ; place = (place + 1) & mask) {
      const entry = (this.#index[place] as number) - 1
      if (entry < 0 || this.#isAt(entry)) return entry
    }
  }

  #read(device: string): void {
    if (device.length !== uuidLength) throw new RangeError('a device is named by a UUID')
    let byte = 0
    for (let at = 0; at < uuidLength; at += 2) {
      if (dashes.has(at)) at += 1
      this.#wanted[byte] = (nibble(device.charCodeAt(at)) << 4) | nibble(device.charCodeAt(at + 1))
      byte += 1
    }
  }

  #isAt(entry: number): boolean {
    const start = entry * idBytes
    for (let i = 0; i < idBytes; i += 1) if (this.#ids[start + i] !== this.#wanted[i]) return false
    return true
  }

  /** A new entry for the id that was wanted last. */
  #add(): number {
    if (this.#entries === this.#values.length) this.#grow()
    const entry = this.#entries
    this.#entries += 1
    this.#ids.set(this.#wanted, entry * idBytes)
    this.#place(entry)
    return entry
  }

  #place(entry: number): void {
    const mask = this.#index.length - 1
    let place = hashOf(this.#ids, entry * idBytes) & mask
    while (this.#index[place] !== 0) place = (place + 1) & mask
    this.#index[place] = entry + 1
  }

  #grow(): void {
    const capacity = this.#values.length * 2
    const ids = new Uint8Array(idBytes * capacity)
    ids.set(this.#ids)
    const values = new Float64Array(capacity)
    values.set(this.#values)
    this.#ids = ids
    this.#values = values
    this.#index = new Uint32Array(capacity * 2)
    for (let entry = 0; entry < this.#entries; entry += 1) this.#place(entry)
  }

  #idOf(entry: number): string {
    let text = ''
    for (let i = 0; i < idBytes; i += 1) {
      if (i === 4 || i === 6 || i === 8 || i === 10) text += '-'
      text += hex[this.#ids[entry * idBytes + i] as number]
    }
    return text
  }

  #compare(a: number, b: number): number {
    for (let i = 0; i < idBytes; i += 1) {
      const difference = (this.#ids[a * idBytes + i] as number) - (this.#ids[b * idBytes + i] as number)
      if (difference !== 0) return difference
    }
    return 0
  }
}

/** FNV-1a. http://www.isthe.com/chongo/tech/comp/fnv/ */
const hashOf = (ids: Uint8Array, start: number): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < idBytes; i += 1) hash = Math.imul(hash ^ (ids[start + i] as number), 0x01000193)
  return hash >>> 0
}
