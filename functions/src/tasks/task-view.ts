import type { TaskView } from '@tributary/contracts/tasks'
import type { TaskRow } from './task-row.ts'

/** A task as the API shows it. */
export const taskView = (row: TaskRow): TaskView => ({
  id: row.id,
  name: row.name,
  state: row.state,
  reason: row.reason,
  model: row.model,
  startVersion: row.startVersion,
  currentVersion: row.currentVersion,
  rounds: { wanted: row.roundsWanted, committed: row.roundsCommitted },
  queue: row.queue,
  settings: row.settings,
  ...(row.keptLocal !== null && { keptLocal: row.keptLocal }),
  createdAt: row.createdAt.toISOString(),
  startedAt: row.startedAt?.toISOString() ?? null,
  finishedAt: row.finishedAt?.toISOString() ?? null,
  createdBy: row.createdBy,
})
