import { DataError } from './data-error.ts'
import type { Normalisation } from './declarations/common.ts'
import type { Affine } from './rows/row-layout.ts'

/**
 * What a declaration makes of every value of a row.
 * @param features numbers of one example
 * @param channels entries that a normalisation may have instead of one for all, each for `run` features side by side
 * @throws FEATURES_UNUSABLE when it has another number of entries
 */
export const affineOf = (
  { scale, normalise }: { readonly scale: number; readonly normalise?: Normalisation | undefined },
  features: number,
  { channels = features, run = 1 }: { readonly channels?: number; readonly run?: number } = {},
): Affine => {
  if (normalise === undefined) return { scale, shift: [0], divisor: [1], run: 1 }
  const shift = [normalise.by === 'range' ? normalise.min : normalise.mean].flat()
  const divisor =
    normalise.by === 'range'
      ? [normalise.max].flat().map((max, index) => max - (shift[index] as number))
      : [normalise.deviation].flat()
  if (shift.length === 1) return { scale, shift, divisor, run: 1 }
  if (shift.length === channels) return { scale, shift, divisor, run }
  throw new DataError(
    'FEATURES_UNUSABLE',
    `"normalise" lists ${shift.length} values; give one, or ${channels}: one for each ${run === 1 && channels === features ? 'feature' : 'channel'}.`,
  )
}
