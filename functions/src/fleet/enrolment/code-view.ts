import type { EnrolmentCodeView } from '@tributary/contracts/enrolment'
import type { Sql } from '../../database/transaction.ts'

export type CodeRow = {
  id: string
  hint: string
  region: string
  kind: 'trainer' | 'evaluator'
  groups: string[]
  labels: Record<string, string>
  label_prefix: string | null
  uses: number
  uses_left: number
  expired: boolean
  expires_at: Date
  revoked_at: Date | null
  created_at: Date
  created_by: string
}

/** Columns of a CodeRow over `enrolment_code`. */
export const codeColumns = (sql: Sql) => sql`
  id, hint, region, kind, groups, labels, label_prefix, uses, uses_left, expires_at <= now() as expired, expires_at, revoked_at,
  created_at, created_by`

const stateOf = (row: CodeRow): EnrolmentCodeView['state'] => {
  if (row.revoked_at !== null) return 'revoked'
  if (row.expired) return 'expired'
  return row.uses_left === 0 ? 'used-up' : 'live'
}

export const codeViewOf = (row: CodeRow): EnrolmentCodeView => ({
  id: row.id,
  hint: row.hint,
  region: row.region,
  kind: row.kind,
  groups: row.groups,
  labels: row.labels,
  labelPrefix: row.label_prefix,
  count: row.uses,
  left: row.uses_left,
  state: stateOf(row),
  expiresAt: row.expires_at.toISOString(),
  createdAt: row.created_at.toISOString(),
  createdBy: row.created_by,
})
