import * as z from 'zod'
import { common, File, Name, tableSplit } from './common.ts'

const { scale: _scale, normalise: _normalise, ...rest } = common

export const TextDeclaration = z.strictObject({
  ...rest,
  format: z.literal('text'),
  /** UTF-8: one document a line (.txt), or a table (.csv, .tsv) or JSON lines (.jsonl) with the document in `column`. */
  file: File,
  column: Name.optional(),
  /** The column of the class; for documents a line, a file of one class a line. */
  label: Name.optional(),
  labels: File.optional(),
  /** What the label says for class 0, 1, 2, … @default it holds numbers */
  classes: z.array(Name).min(2).max(65_536).optional(),
  /**
   * The tokens, ids from 0: a file of one token a line, the same on every device; or the most frequent ones of this data,
   * for trials on one machine.
   */
  vocabulary: z.union([
    z.strictObject({ file: File }),
    z.strictObject({
      mostFrequent: z
        .int()
        .min(3)
        .max(2 ** 20),
    }),
  ]),
  padding: Name.default('[PAD]'),
  unknown: Name.default('[UNK]'),
  /** Ids of one example: longer documents are cut, shorter ones filled up with padding. */
  length: z.int().min(1).max(65_536),
  lowercase: z.boolean().default(true),
  separator: z.enum([',', ';', '\t']).default(','),
  split: tableSplit,
})
export type TextDeclaration = z.infer<typeof TextDeclaration>
