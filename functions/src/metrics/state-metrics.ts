import type { AuditEntry } from '../audit/audit.ts'
import type { Metrics } from './metrics.ts'

/** What the audit trail says of rounds and tasks, counted: every change of their state has its entry. */
export const stateMetrics =
  (metrics: Metrics) =>
  ({ action, detail }: AuditEntry): void => {
    if (action === 'attempt.committed') metrics.add({ RoundsCommitted: 1 })
    if (action === 'attempt.abandoned') metrics.add({ RoundsAbandoned: 1 }, { reason: codeOf(detail?.reason) })
    const [, state] = /^task\.(completed|failed|cancelled)$/.exec(action) ?? []
    if (state !== undefined) metrics.add({ TasksEnded: 1 }, { state })
  }

const codeOf = (reason: unknown): string => {
  const code = typeof reason === 'object' && reason !== null && 'code' in reason ? reason.code : undefined
  return typeof code === 'string' ? code : 'unknown'
}
