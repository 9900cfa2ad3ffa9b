import { Slug } from '@tributary/contracts/ids'
import * as z from 'zod'

/** A file relative to the data folder. */
export const File = z.string().min(1).max(1024)
/** The name of a column or of a class. */
export const Name = z.string().min(1).max(256)

const number = z.number().finite()
const perFeature = z.union([number, z.array(number).min(1).max(65_536)])
const entriesOf = (value: number | readonly number[]): number => [value].flat().length

/** Values less `min`, by `max − min`: from 0 to 1. */
const RangeNormalisation = z
  .strictObject({ by: z.literal('range'), min: perFeature, max: perFeature })
  .refine(({ min, max }) => entriesOf(min) === entriesOf(max), '"min" and "max" have different lengths')
  .refine(
    ({ min, max }) => [max].flat().every((most, index) => most > ([min].flat()[index] as number)),
    '"max" must be above "min"',
  )

/** Values less their mean, by their standard deviation. */
const MomentsNormalisation = z
  .strictObject({ by: z.literal('moments'), mean: perFeature, deviation: perFeature })
  .refine(({ mean, deviation }) => entriesOf(mean) === entriesOf(deviation), '"mean" and "deviation" differ in length')
  .refine(({ deviation }) => [deviation].flat().every(value => value > 0), '"deviation" must be above 0')

/** By mean and variance of all devices together, which the work brings with it. */
const FederatedNormalisation = z.strictObject({ by: z.literal('federated') })

/** After `scale`; one number for all features, or one for each feature, for images one for each channel. */
export const Normalisation = z.union([RangeNormalisation, MomentsNormalisation, FederatedNormalisation])
export type Normalisation = z.infer<typeof Normalisation>

/** Holds a part of the rows out, chosen by chance. */
export const ShareSplit = z.strictObject({
  /** Name of the data set that the held-out rows make. */
  heldOut: Slug,
  share: z.number().gt(0).lt(1),
  /** Another one chooses other rows. */
  seed: z.int().nonnegative().default(0),
})
export type ShareSplit = z.infer<typeof ShareSplit>

/** Holds out the rows where a column has one of some values. */
export const ColumnSplit = z.strictObject({ heldOut: Slug, column: Name, values: z.array(Name).min(1).max(256) })
export type ColumnSplit = z.infer<typeof ColumnSplit>

/**
 * What the owner lets central know beside name and counts: `schema`: shape, number type and kind of label; `names` of columns and classes
 * with it; `label-histogram`: how many examples each class has.
 */
export const Told = z.enum(['schema', 'names', 'label-histogram'])
export type Told = z.infer<typeof Told>

export const common = {
  name: Slug,
  /** A test set: evaluated on, never trained on. */
  heldOut: z.boolean().default(false),
  /** Features are divided by it. */
  scale: z.number().positive().finite().default(1),
  normalise: Normalisation.optional(),
  split: ShareSplit.optional(),
  tell: z.array(Told).max(3).default(['schema']),
}

/** A union for formats with columns. */
export const tableSplit = z.union([ShareSplit, ColumnSplit]).optional()

/** How rows of a table become examples; the same for every format of tables. */
export const columns = {
  /** The column of the label, or several that make up one. */
  label: z.union([Name, z.array(Name).min(1).max(4096)]),
  /**
   * `class`: integers from 0, or names that `classes` lists; `real`: numbers; `multi`: several classes at once, as
   * columns of 0 and 1. @default class or real, by what the column holds
   */
  labelKind: z.enum(['class', 'real', 'multi']).optional(),
  /** Columns that go into the model, in this order. @default all others, in the order of the file */
  features: z.array(Name).min(1).max(65_536).optional(),
  /** What the label column says for class 0, 1, 2, … @default it holds numbers */
  classes: z.array(Name).min(2).max(65_536).optional(),
  /** What to do where a feature is missing: refuse the file, leave the row out, or take a number instead. */
  missing: z.union([z.enum(['refuse', 'skip']), number]).default('refuse'),
  /** Texts that stand for a missing value. Null in JSON lines and Parquet is one too. */
  missingValues: z.array(z.string().max(64)).max(32).default(['']),
  split: tableSplit,
}
