import { TributaryError } from '@tributary/contracts/errors'
import { Manifest, ManifestPort, ManifestTensor } from '@tributary/tensors/manifest'
import { MAX_TENSORS } from '@tributary/tensors/safetensors/limits'
import { MAX_RANK } from '@tributary/tensors/shape'
import * as z from 'zod'

const lists = { tensors: ManifestTensor, inputs: ManifestPort, outputs: ManifestPort }

/**
 * Reads a manifest that may come from anybody. Entries are looked at one by one and the first wrong one ends it: zod would
 * keep all that is wrong with each of a million.
 * @throws TributaryError MODEL_INVALID
 */
export const parseManifest = (bytes: Uint8Array): Manifest => {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new TributaryError('MODEL_INVALID', { detail: 'manifest: not JSON in UTF-8', cause })
  }
  if (typeof json === 'object' && json !== null) {
    for (const [name, schema] of Object.entries(lists)) {
      checkEntries(name, schema, (json as Record<string, unknown>)[name])
    }
  }
  return parseAs(Manifest, json)
}

const checkEntries = (name: string, schema: z.ZodType, list: unknown): void => {
  if (!Array.isArray(list)) return
  if (list.length > MAX_TENSORS) throw invalid(`${list.length} ${name}, at most ${MAX_TENSORS}`)
  for (const [index, entry] of list.entries()) {
    const rank = (entry as { shape?: { length?: unknown } } | null)?.shape?.length ?? 0
    if (typeof rank === 'number' && rank > MAX_RANK) throw invalid(`${name}[${index}] has more than ${MAX_RANK} axes`)
    parseAs(schema, entry, `${name}[${index}]: `)
  }
}

const parseAs = <Schema extends z.ZodType>(schema: Schema, value: unknown, where = ''): z.output<Schema> => {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw invalid(`${where}${z.prettifyError({ issues: parsed.error.issues.slice(0, 5) })}`)
}

const invalid = (what: string): TributaryError =>
  new TributaryError('MODEL_INVALID', { detail: `manifest: ${what.slice(0, 500)}` })
