import { TributaryError } from '@tributary/contracts/errors'
import type { VersionState } from '@tributary/contracts/models'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { referencesOfVersion } from './references-of-version.ts'

/**
 * Makes a version a tombstone: its row stays for the lineage of others, its files go some time later. What takes a version for
 * something new holds its row (`holdVersion`), so it comes before this and is found, or after and finds a tombstone. One
 * that is buried already stays so.
 * @throws TributaryError NOT_FOUND, STATE_CONFLICT while it is checked, VERSION_REFERENCED
 */
export const buryVersion = async (
  { audit }: Pick<Context, 'audit'>,
  sql: Transaction,
  { model, version, actor }: { model: string; version: string; actor: string },
): Promise<void> => {
  const [row] = await sql<{ state: VersionState; number: number }[]>`
    select state, number from model_version where id = ${version} and model = ${model} for update`
  if (row === undefined) throw new TributaryError('NOT_FOUND')
  if (row.state === 'deleted') return
  if (row.state === 'checking') {
    throw new TributaryError('STATE_CONFLICT', { detail: 'its files are being checked; delete it afterwards' })
  }
  const references = await referencesOfVersion(sql, version)
  if (references.length > 0) throw new TributaryError('VERSION_REFERENCED', { extra: { references } })
  await sql`update model_version set state = 'deleted', deleted_at = now() where id = ${version}`
  const detail = { model, number: row.number }
  audit.append(sql, { actor, action: 'version.deleted', subject: `version/${version}`, detail })
}
