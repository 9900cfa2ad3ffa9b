/** Measurements beside their limits, printed as they come. */
export class Table {
  #missed = 0

  get missed(): number {
    return this.#missed
  }

  title(text: string): void {
    console.log(`\n${text}`)
  }

  /** @param more is wanted of `value`, or less */
  row(
    what: string,
    {
      value,
      unit,
      limit,
      wants,
      notes = [],
    }: {
      value: number
      unit: string
      limit: number | null
      wants: 'more' | 'less'
      notes?: readonly string[]
    },
  ): void {
    const digits = value < 10 ? 2 : 0
    const measured = `${value.toFixed(digits)} ${unit}`.padStart(16)
    const cells = [what.padEnd(46), measured]
    if (limit !== null) {
      const isKept = wants === 'more' ? value >= limit : value <= limit
      if (!isKept) this.#missed += 1
      const ratio = wants === 'more' ? value / limit : limit / value
      cells.push(`${wants === 'more' ? '≥' : '≤'} ${limit}`.padStart(9), `${ratio.toFixed(2)}×`.padStart(8))
      cells.push(isKept ? '       ' : '  MISSED')
    }
    console.log(`${cells.join('')}${notes.length > 0 ? `  ${notes.join(' · ')}` : ''}`)
  }
}
