import type { DataFiles } from './data-files.ts'
import type { RowFaults } from './row-faults.ts'
import type { RowLayout } from './rows/row-layout.ts'

/** Examples that follow one another in a data set. */
export type RowBlock = {
  readonly count: number
  /** Row-major; bytes for a layout that stores bytes. */
  readonly features: Float32Array | Uint8Array
  readonly labels: Int32Array | Float32Array
  /** Number of each row in its source, from 0: it decides which part of a split the row belongs to. */
  readonly numbers: Float64Array
  /** 1 for each row that a column holds out. @default none */
  readonly heldOut?: Uint8Array
}

export type RowStream = {
  /** How many there will be at most, where that shows before they are read. */
  readonly examples?: number
  readonly layout: RowLayout
  /** Names of the features, where the format has any. */
  readonly columns?: readonly string[]
  /** How many classes the labels have, where they are declared; or may have at most. */
  readonly classes?: number
  readonly blocks: AsyncIterable<RowBlock>
}

/** How a format keeps a data set in files. Both methods throw DataError. */
export type DatasetReader = {
  /** Names of the files, as they were declared; all that is read apart from the files of `folder`. */
  readonly files: readonly string[]
  /** Whether damaged files may hold up its parser: then nothing of them is read in the agent's own process. */
  readonly apart?: boolean
  /** A folder of which every file may be read. */
  readonly folder?: string
  /**
   * The number of examples; rows that will be left out are counted. Looks no further than it must: at headers, where the
   * format has them.
   */
  measure(files: DataFiles): Promise<number>
  /**
   * Reads examples in their order, in bounded memory. A row that cannot be used goes to `faults` and is left out, so that
   * the owner learns of all of them at once.
   */
  read(files: DataFiles, faults: RowFaults): Promise<RowStream>
}

/** Rows of a block that takes about so many bytes. */
export const rowsPerBlock = (rowBytes: number): number => Math.max(1, Math.floor(2 ** 18 / rowBytes))
