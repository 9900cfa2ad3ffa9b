import { TributaryError } from '@tributary/contracts/errors'
import type { Database } from '../database/database.ts'
import type { SignedBy } from './signed-requests.ts'

type Row = { certificate_sha256: string; previous_certificate_sha256: string | null; revoked: boolean }

/**
 * Checks that a certificate is the one that its holder was given last, or the one before, whose time lasts until the newer one is
 * used: its first signed request ends it.
 * @throws TributaryError UNAUTHENTICATED, CERTIFICATE_REVOKED
 */
export const checkRegistered = async (database: Database, { kind, id, certificateSha256 }: SignedBy): Promise<void> => {
  const [row] = await database.read(
    sql => sql<Row[]>`
      select certificate_sha256, previous_certificate_sha256, revoked_at is not null as revoked
      from ${sql(kind === 'device' ? 'device' : 'regional_node')} where id = ${id}`,
  )
  if (row === undefined) throw new TributaryError('UNAUTHENTICATED', { cause: new Error(`${kind} ${id} is unknown`) })
  if (row.revoked) throw new TributaryError('CERTIFICATE_REVOKED')
  const { certificate_sha256: current, previous_certificate_sha256: previous } = row
  if (current === certificateSha256 && previous !== null) {
    await database.read(
      sql => sql`
        update ${sql(kind === 'device' ? 'device' : 'regional_node')} set previous_certificate_sha256 = null
        where id = ${id} and certificate_sha256 = ${certificateSha256} and previous_certificate_sha256 is not null`,
    )
  } else if (current !== certificateSha256 && previous !== certificateSha256) {
    throw new TributaryError('UNAUTHENTICATED', { cause: new Error(`${kind} ${id} has a newer certificate`) })
  }
}
