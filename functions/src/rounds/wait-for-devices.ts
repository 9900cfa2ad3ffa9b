import type { AttemptRef } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import type { TaskRow } from '../tasks/task-row.ts'
import { failAfterLastAttempt } from './fail-task.ts'
import type { Reason } from './reason.ts'
import { systemActor } from './system-actor.ts'

/**
 * Nobody to train yet. The wait has a deadline, `selectionSeconds`: past it, it counts as an abandoned attempt, and the
 * next one begins to wait unless the task has used up its attempts.
 */
export const waitForDevices = async (
  context: Context,
  sql: Transaction,
  task: TaskRow,
  ref: AttemptRef,
  detail: string,
): Promise<void> => {
  if (task.waitingSince === null) {
    await sql`update task set waiting_since = now() where id = ${task.id}`
    return
  }
  // Every status call of every node comes here while a task waits: it reads, and writes only where the wait is over.
  const [wait] = await sql<{ since: Date; over: boolean }[]>`
    select waiting_since as since,
      waiting_since <= now() - make_interval(secs => ${task.settings.deadlines.selectionSeconds}) as over
    from task where id = ${task.id}`
  if (wait === undefined || !wait.over) return
  const reason: Reason = { code: 'TOO_FEW_DEVICES', detail }
  await sql`
    insert into round_attempt
      (task, round, attempt, state, reason, base_version, goal, selected, descriptor, opened_at, deadline, settled_at)
    values (${ref.task}, ${ref.round}, ${ref.attempt}, 'abandoned', ${sql.json(asJson(reason))}, ${task.currentVersion}, 0, 0,
      '{}', ${wait.since}, now(), now())`
  context.audit.append(sql, {
    actor: systemActor,
    action: 'attempt.abandoned',
    subject: `attempt/${ref.task}/${ref.round}/${ref.attempt}`,
    detail: { reason },
  })
  await sql`update task set waiting_since = now() where id = ${task.id}`
  await failAfterLastAttempt(context, sql, task, ref, reason)
}
