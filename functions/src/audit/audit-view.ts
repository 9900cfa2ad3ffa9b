import type { AuditEntryView } from '@tributary/contracts/audit'

export type AuditRow = {
  sequence: number
  time: Date
  actor: string
  action: string
  subject: string
  detail: Record<string, unknown>
  previous_hash: Buffer
  hash: Buffer
}

export const auditViewOf = (row: AuditRow): AuditEntryView => ({
  sequence: row.sequence,
  time: row.time.toISOString(),
  actor: row.actor,
  action: row.action,
  subject: row.subject,
  detail: row.detail,
  previousHash: row.previous_hash.toString('hex'),
  hash: row.hash.toString('hex'),
})
