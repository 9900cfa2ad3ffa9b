import { type FeatureStatistics, standardisation } from '@tributary/learning/statistics/feature-statistics'
import { DataError } from './data-error.ts'
import type { Normalisation } from './declarations/common.ts'
import type { DatasetDeclaration } from './declarations/dataset-declaration.ts'
import type { RowHeader } from './rows/row-header.ts'
import type { Affine } from './rows/row-layout.ts'
import type { EntryLayout } from './statistics/local-statistics.ts'

/** Entries that a normalisation may have instead of one for all, each for `run` features side by side. */
type Channels = { readonly channels: number; readonly run: number }

/**
 * What a declaration makes of every value of a row before any work is there.
 * @param features numbers of one example
 * @throws FEATURES_UNUSABLE when it has another number of entries
 */
export const affineOf = (
  { scale, normalise }: { readonly scale: number; readonly normalise?: Normalisation | undefined },
  features: number,
  channels: Channels = { channels: features, run: 1 },
): Affine => {
  if (normalise === undefined || normalise.by === 'federated') return { scale, shift: [0], divisor: [1], run: 1 }
  const shift = [normalise.by === 'range' ? normalise.min : normalise.mean].flat()
  const divisor =
    normalise.by === 'range'
      ? [normalise.max].flat().map((max, index) => max - (shift[index] as number))
      : [normalise.deviation].flat()
  const run = runOf(shift.length, channels)
  if (run !== undefined) return { scale, shift, divisor, run }
  throw new DataError(
    'FEATURES_UNUSABLE',
    `"normalise" lists ${shift.length} values; give one, or ${entriesWanted(channels, features)}.`,
  )
}

/** Whether the work must bring mean and variance. */
export const isFederated = (declaration: DatasetDeclaration): boolean =>
  'normalise' in declaration && declaration.normalise?.by === 'federated'

/** Which features of a data set share an entry of statistics. Throws STATISTICS_MISMATCH where they have another number of them. */
export const entryLayoutOf = (
  declaration: DatasetDeclaration,
  { features }: Pick<RowHeader, 'features'>,
  entries: number,
): EntryLayout => {
  const channels =
    declaration.format === 'images' ? channelsOf(declaration, entries === features) : { channels: features, run: 1 }
  const run = runOf(entries, channels)
  if (run !== undefined) return { entries, run }
  throw new DataError(
    'STATISTICS_MISMATCH',
    `The statistics have ${entries} entries; data set "${declaration.name}" takes one, or ${entriesWanted(channels, features)}.`,
  )
}

/** What stored values stand for once they are normalised by the statistics of the work. Throws STATISTICS_MISMATCH. */
export const affineBy = (
  statistics: FeatureStatistics,
  declaration: DatasetDeclaration,
  header: Pick<RowHeader, 'features' | 'stored' | 'affine'>,
): Affine => {
  const { run } = entryLayoutOf(declaration, header, statistics.scale.length)
  // Stored numbers are divided by the declared scale already.
  return { scale: header.stored === 'u8' ? header.affine.scale : 1, ...standardisation(statistics), run }
}

/** @param apart whether every feature is one */
export const channelsOf = (
  { height, width, channels, layout }: Extract<DatasetDeclaration, { format: 'images' }>,
  apart = false,
): Channels =>
  apart ? { channels: height * width * channels, run: 1 } : { channels, run: layout === 'chw' ? height * width : 1 }

const runOf = (entries: number, { channels, run }: Channels): number | undefined =>
  entries === 1 ? 1 : entries === channels ? run : undefined

const entriesWanted = ({ channels }: Channels, features: number): string =>
  `${channels}: one for each ${channels === features ? 'feature' : 'channel'}`
