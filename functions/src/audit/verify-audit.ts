import type { AuditHead, AuditVerification } from '@tributary/contracts/audit'
import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Database } from '../database/database.ts'
import type { Handler } from '../http/handler.ts'
import { type AuditRow, auditViewOf } from './audit-view.ts'
import { genesisHash } from './chain.ts'
import { ChainVerifier } from './chain-verifier.ts'

const rowsAtOnce = 1000

/**
 * Verifies a stretch of the chain: each hash is computed anew, each entry must follow the one before it. What is missing at the
 * end cannot be seen from the chain alone: compare `head` with one that was noted elsewhere.
 * @throws TributaryError NOT_FOUND when there is no entry before `from`
 */
export const verifyAudit =
  ({ database }: Pick<Context, 'database'>): Handler<'verifyAudit'> =>
  async ({ query: { from, most }, signal }) => {
    const head = await readHead(database)
    const verifier = new ChainVerifier(await entryBefore(database, from))
    const last = Math.min(head.sequence, from + most - 1)
    while (verifier.head.sequence < last && verifier.fault === null) {
      signal.throwIfAborted()
      const rows = await readRows(database, verifier.head.sequence, Math.min(rowsAtOnce, last - verifier.head.sequence))
      if (rows.length === 0) {
        verifier.fault = { sequence: verifier.head.sequence + 1, fault: 'missing' }
        break
      }
      for (const row of rows) if (!verifier.take(auditViewOf(row))) break
    }
    const { fault, head: to } = verifier
    return {
      valid: fault === null,
      from,
      to: to.sequence,
      brokenAt: fault?.sequence ?? null,
      fault: fault?.fault ?? null,
      head,
      next: fault === null && to.sequence < head.sequence ? to.sequence + 1 : null,
    } satisfies AuditVerification
  }

const readHead = async (database: Database): Promise<AuditHead> => {
  const [row] = await database.read(
    sql => sql<{ sequence: number; hash: Buffer }[]>`
      select sequence, hash from audit_entry order by sequence desc limit 1`,
  )
  return { sequence: row?.sequence ?? 0, hash: (row?.hash ?? genesisHash).toString('hex') }
}

const entryBefore = async (database: Database, from: number): Promise<AuditHead> => {
  if (from === 1) return { sequence: 0, hash: genesisHash.toString('hex') }
  const [row] = await database.read(
    sql => sql<{ hash: Buffer }[]>`select hash from audit_entry where sequence = ${from - 1}`,
  )
  if (row === undefined) throw new TributaryError('NOT_FOUND', { detail: `There is no entry ${from - 1}.` })
  return { sequence: from - 1, hash: row.hash.toString('hex') }
}

const readRows = (database: Database, after: number, limit: number) =>
  database.read(
    sql => sql<AuditRow[]>`
      select sequence, time, actor, action, subject, detail, previous_hash, hash from audit_entry
      where sequence > ${after} order by sequence limit ${limit}`,
  )
