import * as z from 'zod'
import { DataError } from '../../data/data-error.ts'

/** In the data folder. */
export const declarationsFile = 'inference.json'

const Share = z.number().min(0).max(1)

const SampleDeclaration = z.strictObject({
  /** The first rows of a held-out data set. */
  dataset: z
    .strictObject({
      name: z.string().min(1).max(200),
      rows: z.int().min(1).max(10_000).default(100),
      /** Share of them whose class must be predicted. @default finite numbers are enough */
      leastAccuracy: Share.optional(),
    })
    .optional(),
  /** Requests that the owner recorded, with outputs or without. */
  recorded: z
    .strictObject({
      file: z.string().min(1).max(500),
      /** Share of the rows with recorded outputs that must agree. @default finite numbers are enough */
      leastAgreement: Share.optional(),
      /** How far an output may be from the recorded one; without, the largest output must be the same one. */
      tolerance: z.number().positive().optional(),
    })
    .optional(),
})
export type SampleDeclaration = z.infer<typeof SampleDeclaration>

const Declarations = z.strictObject({ models: z.record(z.string(), SampleDeclaration) })

/** By name or id of a model. @param file content, or undefined where there is none. Throws DataError DATASETS_INVALID. */
export const readSampleDeclarations = (file: Uint8Array | undefined): ReadonlyMap<string, SampleDeclaration> => {
  if (file === undefined) return new Map()
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(file))
  } catch (cause) {
    throw new DataError('DATASETS_INVALID', `${declarationsFile} is not JSON.`, { cause })
  }
  const parsed = Declarations.safeParse(json)
  if (parsed.success) return new Map(Object.entries(parsed.data.models))
  throw new DataError(
    'DATASETS_INVALID',
    `${declarationsFile} is not usable:\n${z.prettifyError(parsed.error).slice(0, 2000)}`,
  )
}
