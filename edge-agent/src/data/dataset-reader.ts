import type { Examples } from '../training/trainer.ts'
import type { ByteSource } from './byte-source.ts'

export type DatasetSize = { readonly examples: number /** What its features take in memory. */; readonly bytes: number }

/** How a format keeps a data set in files. Both methods throw DataError and get the sources in the order of `files`. */
export type DatasetReader = {
  /** Names of the files, as they were declared. */
  readonly files: readonly string[]
  /** Looks no further than it must: at headers, where the format has them. */
  measure(sources: readonly ByteSource[]): Promise<DatasetSize>
  read(sources: readonly ByteSource[]): Promise<Examples>
}
