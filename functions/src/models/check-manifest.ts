import { TributaryError } from '@tributary/contracts/errors'
import { Manifest } from '@tributary/tensors/manifest'
import * as z from 'zod'

/** @throws TributaryError MODEL_INVALID */
export const parseManifest = (bytes: Uint8Array): Manifest => {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new TributaryError('MODEL_INVALID', { detail: 'manifest: not JSON in UTF-8', cause })
  }
  const parsed = Manifest.safeParse(json)
  if (parsed.success) return parsed.data
  const detail = `manifest: ${z.prettifyError(parsed.error).slice(0, 500)}`
  throw new TributaryError('MODEL_INVALID', { detail })
}
