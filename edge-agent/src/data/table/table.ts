import type { ByteSource } from '../byte-source.ts'
import type { RowFaults } from '../row-faults.ts'

/** What a table holds in one place: CSV text, JSON any value, Parquet what its column says. */
export type Cell = unknown

export type TableRow = {
  /** Where an editor shows it: "line 3" or "row 3", from 1. */
  readonly place: string
  /** From 0, over all rows of the source. */
  readonly number: number
  /** In the order of the table's columns. */
  readonly cells: readonly Cell[]
}

export type Table = {
  readonly columns: readonly string[]
  /** Whether numbers are written as text. */
  readonly textual: boolean
  readonly rows: AsyncIterable<TableRow>
}

/** A format of tables. Both methods throw DataError. */
export type TableFormat = {
  /** The number of rows and, where the file has them apart, the names of its columns. */
  measure(source: ByteSource): Promise<{ readonly rows: number; readonly columns?: readonly string[] }>
  /**
   * @param wanted columns that are needed; a table may leave out others. @default all
   * @param faults told of rows that are none, which are left out
   */
  open(source: ByteSource, wanted: readonly string[] | undefined, faults: RowFaults): Promise<Table>
}
