import * as z from 'zod'
import { Sha256, Timestamp } from './ids.ts'

/** One entry of the audit trail. `hash` is sha256 over the hash before and the canonical JSON (RFC 8785) of the other members. */
export const AuditEntryView = z.object({
  sequence: z.int().positive(),
  time: Timestamp,
  /** Who: `api-key:<id>`, `token:<name>`, `regional-node:<id>`, `device:<id>`, `system`. */
  actor: z.string(),
  /** What: `task.created`. */
  action: z.string(),
  /** On what: `task/<id>`. */
  subject: z.string(),
  detail: z.record(z.string(), z.unknown()),
  previousHash: Sha256,
  hash: Sha256,
})
export type AuditEntryView = z.infer<typeof AuditEntryView>

/** The end of the chain. Whoever notes it elsewhere can tell later whether entries are missing at the end. */
export const AuditHead = z.object({ sequence: z.int().nonnegative(), hash: Sha256 })
export type AuditHead = z.infer<typeof AuditHead>

export const auditFaults = ['changed', 'missing', 'unlinked'] as const

/** Whether the entries from `from` to `to` are as they were written. */
export const AuditVerification = z.object({
  valid: z.boolean(),
  from: z.int().positive(),
  /** Last entry that was looked at; below `from` where there was none. */
  to: z.int().nonnegative(),
  /** First entry that is not as it was written. */
  brokenAt: z.int().positive().nullable(),
  /** `changed`: not what its hash says; `missing`: its number is not the next; `unlinked`: it follows another entry than the one before it. */
  fault: z.enum(auditFaults).nullable(),
  head: AuditHead,
  /** Where to go on; null when the end was reached, or the chain is broken. */
  next: z.int().positive().nullable(),
})
export type AuditVerification = z.infer<typeof AuditVerification>
