import type { ModelView } from '@tributary/contracts/models'
import type { Sql } from '../database/transaction.ts'

export type ModelRow = {
  id: string
  name: string
  description: string
  created_at: Date
  latest_version: string | null
  retention_keep_last: number | null
  retention_keep_days: number | null
}

/** Columns of a ModelRow over `model m`; the latest version is the newest one that is ready. */
export const modelColumns = (sql: Sql) => sql`
  m.id, m.name, m.description, m.created_at, m.retention_keep_last, m.retention_keep_days,
  (select v.id from model_version v where v.model = m.id and v.state = 'ready' order by v.number desc limit 1)
    as latest_version`

export const modelViewOf = (row: ModelRow): ModelView => ({
  id: row.id,
  name: row.name,
  description: row.description,
  createdAt: row.created_at.toISOString(),
  latestVersion: row.latest_version,
  retention:
    row.retention_keep_last === null || row.retention_keep_days === null
      ? null
      : { keepLast: row.retention_keep_last, keepDays: row.retention_keep_days },
})
