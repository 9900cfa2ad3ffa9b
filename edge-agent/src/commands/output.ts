/** Where a command writes: results to `out`, progress and errors to `err`. */
export type Output = {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** Width of the terminal that shows `err`; undefined where it is none. */
  readonly columns: number | undefined
}

/** Rows of cells as aligned columns, two spaces apart; numbers to the right. */
export const table = (rows: readonly (readonly (string | number)[])[], indent = '  '): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => String(row[column] ?? '').length)))
  const line = (row: readonly (string | number)[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return typeof cell === 'number' ? String(cell).padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return rows.map(row => `${indent}${line(row)}\n`).join('')
}
