/** How often which fault met an attempt in which state. */
export class FaultTable {
  readonly #counts = new Map<string, Map<string, number>>()

  count(fault: string, state: string, times = 1): void {
    const row = this.#counts.get(fault) ?? new Map<string, number>()
    this.#counts.set(fault, row.set(state, (row.get(state) ?? 0) + times))
  }

  /** Over all states, of every fault whose name begins so. */
  total(prefix: string): number {
    return [...this.#counts]
      .filter(([fault]) => fault.startsWith(prefix))
      .flatMap(([, row]) => [...row.values()])
      .reduce((sum, count) => sum + count, 0)
  }

  toString(): string {
    const states = [...new Set([...this.#counts.values()].flatMap(row => [...row.keys()]))].sort()
    const line = (name: string, cells: readonly (string | number)[]): string =>
      `${name.padEnd(36)}${cells.map(cell => String(cell).padStart(12)).join('')}\n`
    const rows = [...this.#counts].sort().map(([fault, row]) =>
      line(
        fault,
        states.map(state => row.get(state) ?? 0),
      ),
    )
    return [line('fault', states), ...rows].join('')
  }
}
