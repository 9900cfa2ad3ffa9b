import * as z from 'zod'
import { common, File, Name } from './common.ts'

const { scale: _, ...rest } = common
const side = z.int().min(1).max(4096)

export const ImagesDeclaration = z.strictObject({
  ...rest,
  format: z.literal('images'),
  /** Folder of PNG and JPEG files. */
  folder: File,
  /** Class 0, 1, 2, …: names of sub-folders, or what `labels` says. The same on every device. */
  classes: z.array(Name).min(2).max(65_536),
  /** CSV file with the class of each image. @default the sub-folder that an image lies in */
  labels: z.strictObject({ file: File, image: Name, label: Name }).optional(),
  height: side,
  width: side,
  channels: z.union([z.literal(1), z.literal(3)]),
  /** `chw`: channel by channel, as PyTorch and ONNX take them; `hwc`: pixel by pixel, as Keras does. */
  layout: z.enum(['chw', 'hwc']).default('chw'),
  /** `stretch` to the size; `cover` keeps the shape and cuts what is too much; `contain` keeps it and adds black. */
  fit: z.enum(['stretch', 'cover', 'contain']).default('stretch'),
  /** Bytes are divided by it. */
  scale: z.number().positive().finite().default(255),
  onBroken: z.enum(['refuse', 'skip']).default('refuse'),
})
export type ImagesDeclaration = z.infer<typeof ImagesDeclaration>
