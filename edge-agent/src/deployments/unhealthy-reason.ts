import { TributaryError } from '@tributary/contracts/errors'
import { failureOf } from '../agent/job/failure.ts'
import { DataError } from '../data/data-error.ts'
import { CallError } from '../transport/call-error.ts'

/** What the owner of the version reads where the trouble is the device's own: no paths, nothing of the owner's data. */
const ofTheDevice = 'The device could not store or load the version. Its log has the cause.'

/**
 * Why a device cannot serve a version, as it leaves the device; undefined where another try may do: the node was not reached, bytes got lost
 * on the way, or the owner's samples cannot be read, which is no fault of the version.
 */
export const unhealthyReason = (error: unknown): string | undefined => {
  if (error instanceof CallError || error instanceof TributaryError || error instanceof DataError) return undefined
  const failure = failureOf(error)
  if (failure === undefined) return undefined
  const { code, detail } = failure
  if (code === 'TRAINING_FAILED') return ofTheDevice
  return detail === '' ? code : `${code}: ${detail}`
}
