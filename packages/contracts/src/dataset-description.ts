import * as z from 'zod'
import { Sha256, Slug, Uuid } from './ids.ts'

/** What one device may tell about its data sets. Devices keep to it, and nodes drop what does not. */
export const descriptionLimits = {
  datasets: 64,
  /** Of columns, and of classes. */
  names: 256,
  nameLength: 128,
  classes: 1000,
  /** Of all descriptions of a device as JSON. */
  bytes: 32 * 1024,
} as const

const { names, nameLength, classes, datasets, bytes } = descriptionLimits
const Names = z.array(z.string().min(1).max(nameLength)).max(names)

/** What the examples of a data set look like; no value of any of them. */
export const DatasetSchema = z.object({
  /** As it was declared: csv, images, … */
  format: z.string().min(1).max(16),
  /** Sizes of one example, as a model takes it. */
  shape: z.array(z.int().positive()).min(1).max(8),
  /** Of a feature on disk; a model is given float32. */
  dtype: z.enum(['u8', 'f32']),
  /** Names of the features, where there are any and the owner tells them. */
  columns: Names.optional(),
  label: z.object({
    kind: z.enum(['class', 'real', 'multi']),
    /** Labels of one example. */
    size: z.int().positive(),
    /** How many classes there are, where that is known. */
    classes: z.int().positive().optional(),
    /** Where there are names and the owner tells them. */
    classNames: Names.optional(),
  }),
})
export type DatasetSchema = z.infer<typeof DatasetSchema>

/** What an owner lets out about a data set beside its name and counts. */
export const DatasetDescription = z.object({
  name: Slug,
  schema: DatasetSchema.optional(),
  /** Examples of each class. */
  labelCounts: z.array(z.int().nonnegative()).min(1).max(classes).optional(),
})
export type DatasetDescription = z.infer<typeof DatasetDescription>

/** The descriptions of one device, in the order of their names. */
export const DatasetDescriptions = z
  .array(DatasetDescription)
  .max(datasets)
  .refine(list => JSON.stringify(list).length <= bytes, `more than ${bytes} characters`)
export type DatasetDescriptions = z.infer<typeof DatasetDescriptions>

export const DeviceDatasets = z.object({
  device: Uuid,
  /** By which a device and its node tell what is known from what is new. */
  digest: Sha256,
  datasets: DatasetDescriptions,
})
export type DeviceDatasets = z.infer<typeof DeviceDatasets>
