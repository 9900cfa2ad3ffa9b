import { TributaryError } from '@tributary/contracts/errors'
import type { Database } from '../database/database.ts'
import type { SignedBy } from './signed-requests.ts'

type Row = { certificate_sha256: string; revoked: boolean }

/**
 * Checks that a certificate is the one that its holder was given last, and still good.
 * @throws TributaryError UNAUTHENTICATED, CERTIFICATE_REVOKED
 */
export const checkRegistered = async (database: Database, { kind, id, certificateSha256 }: SignedBy): Promise<void> => {
  const [row] = await database.read(
    sql => sql<Row[]>`
      select certificate_sha256, revoked_at is not null as revoked
      from ${sql(kind === 'device' ? 'device' : 'regional_node')} where id = ${id}`,
  )
  if (row === undefined) throw new TributaryError('UNAUTHENTICATED', { cause: new Error(`${kind} ${id} is unknown`) })
  if (row.revoked) throw new TributaryError('CERTIFICATE_REVOKED')
  if (row.certificate_sha256 !== certificateSha256) {
    throw new TributaryError('UNAUTHENTICATED', { cause: new Error(`${kind} ${id} has a newer certificate`) })
  }
}
