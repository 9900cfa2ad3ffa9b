import type { Clock } from '../adapters/clock.ts'
import { advisoryLocks } from '../database/advisory-locks.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { chainHash, genesisHash } from './chain.ts'

export type AuditEntry = {
  /** Who: `token:<name>`, `regional-node:<id>`, `system`. */
  readonly actor: string
  /** What: `task.created`, `device.revoked`. */
  readonly action: string
  /** On what: `task/<id>`. */
  readonly subject: string
  readonly detail?: Readonly<Record<string, unknown>>
}

export type Audit = {
  /**
   * Adds an entry to the chain in this transaction. Entries are written as its last statements, since the chain's lock
   * makes all writers wait for one another from there to the commit.
   */
  append(sql: Transaction, entry: AuditEntry): void
}

/** @param committed told of every entry once its transaction is committed */
export const createAudit = (clock: Clock, committed?: (entry: AuditEntry) => void): Audit => {
  const pending = new WeakMap<Transaction, AuditEntry[]>()
  return {
    append(sql, entry) {
      const entries = pending.get(sql)
      if (entries !== undefined) {
        entries.push(entry)
        return
      }
      const own = [entry]
      pending.set(sql, own)
      sql.beforeCommit(() => write(sql, own, clock))
      if (committed !== undefined) sql.afterCommit('audit', async () => own.forEach(committed))
    },
  }
}

const write = async (sql: Transaction, entries: readonly AuditEntry[], clock: Clock): Promise<void> => {
  // Two statements in one flight: the second one's snapshot must be taken after the lock is granted.
  const [, [last]] = await Promise.all([
    sql`select pg_advisory_xact_lock(${advisoryLocks.auditChain})`,
    sql<{ sequence: number; hash: Buffer }[]>`
      select sequence, hash from audit_entry order by sequence desc limit 1`,
  ])
  const time = clock.now().toISOString()
  let sequence = last?.sequence ?? 0
  let previous: Buffer = last?.hash ?? genesisHash
  const rows = entries.map(({ actor, action, subject, detail = {} }) => {
    sequence += 1
    // As the database will give it back: undefined members and the like are gone.
    const stored: unknown = JSON.parse(JSON.stringify(detail))
    const hash = chainHash(previous, { sequence, time, actor, action, subject, detail: stored })
    const row = { sequence, time, actor, action, subject, detail: stored, previous: hex(previous), hash: hex(hash) }
    previous = hash
    return row
  })
  await sql`
    insert into audit_entry (sequence, time, actor, action, subject, detail, previous_hash, hash)
    select sequence, time, actor, action, subject, detail, decode(previous, 'hex'), decode(hash, 'hex')
    from jsonb_to_recordset(${sql.json(asJson(rows))})
      as entry (sequence bigint, time timestamptz, actor text, action text, subject text, detail jsonb, previous text, hash text)`
}

const hex = (bytes: Buffer): string => bytes.toString('hex')
