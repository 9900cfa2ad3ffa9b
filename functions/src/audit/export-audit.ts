import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { type AuditRow, auditViewOf } from './audit-view.ts'

/** An answer of a Lambda function has at most 6 MB. */
const mostBytes = 4 * 1024 * 1024

/** Entries in their order, one a line; a page ends early where the entries are long, never without one. */
export const exportAudit =
  ({ database }: Pick<Context, 'database'>): Handler<'exportAudit'> =>
  async ({ query: { after, most } }) => {
    const rows = await database.read(
      sql => sql<AuditRow[]>`
        select sequence, time, actor, action, subject, detail, previous_hash, hash from audit_entry
        where sequence > ${after} order by sequence limit ${most}`,
    )
    const lines: string[] = []
    let bytes = 0
    for (const row of rows) {
      const line = `${JSON.stringify(auditViewOf(row))}\n`
      bytes += Buffer.byteLength(line)
      if (lines.length > 0 && bytes > mostBytes) break
      lines.push(line)
    }
    return lines.join('')
  }
