import { TributaryError } from '@tributary/contracts/errors'
import type { Transaction } from '../database/transaction.ts'

/**
 * The region of the device that a task is tried on.
 * @param regions of the task; empty: all
 * @throws TributaryError DEVICE_UNKNOWN, DEVICE_UNSUITABLE
 */
export const dryRunRegion = async (sql: Transaction, device: string, regions: readonly string[]): Promise<string> => {
  const [row] = await sql<{ region: string; kind: 'trainer' | 'evaluator'; revoked: boolean }[]>`
    select region, kind, revoked_at is not null as revoked from device where id = ${device}`
  if (row === undefined)
    throw new TributaryError('DEVICE_UNKNOWN', { detail: `dryRun.device ${device} is not enrolled` })
  const refuse = (why: string) => new TributaryError('DEVICE_UNSUITABLE', { detail: `dryRun.device ${device} ${why}` })
  if (row.revoked) throw refuse('is revoked')
  if (row.kind !== 'trainer') throw refuse(`is an ${row.kind}`)
  if (regions.length > 0 && !regions.includes(row.region)) throw refuse(`is in region ${row.region}, not in the task's`)
  return row.region
}
