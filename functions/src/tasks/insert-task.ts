import type { CreateTask } from '@tributary/contracts/tasks'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { openNextAttempt } from '../rounds/open-next-attempt.ts'
import { moveTask } from './move-task.ts'
import { planTask } from './plan-task.ts'
import type { PreparedTask } from './prepare-task.ts'
import { lockTask, type TaskRow } from './task-row.ts'
import { seedText } from './task-seed.ts'

/**
 * Creates a task and, where it is to start, opens its first attempt in the same transaction if it has its turn and devices
 * are there.
 * @param origin task that it is a clone of
 * @param prepared from `prepareTask`
 * @throws TributaryError as `planTask`
 */
export const insertTask = async (
  context: Context,
  sql: Transaction,
  wishes: CreateTask,
  {
    actor,
    origin,
    prepared,
  }: { readonly actor: string; readonly origin?: string; readonly prepared: PreparedTask | null },
): Promise<TaskRow> => {
  const { settings, seed, version, regions, rounds, statistics, local } = await planTask(sql, wishes, prepared)
  const id = context.ids.next()
  const inserted = sql`
    insert into task (id, name, state, model, start_version, current_version, rounds_wanted, settings, seed, regions, priority,
      start_at, created_by, statistics, manifest, kept_local)
    values (${id}, ${settings.name}, 'draft', ${settings.model.model}, ${version}, ${version}, ${rounds},
      ${sql.json(asJson(settings))}, ${seedText(seed)}, ${[...regions]}::text[], ${settings.priority},
      ${settings.startAt ?? null}, ${actor}, ${statistics}, ${local && sql.json(asJson(local.manifest))},
      ${local && sql.json(asJson(local.keptLocal))})`.execute()
  const detail = { settings, ...(origin !== undefined && { cloneOf: origin }) }
  context.audit.append(sql, { actor, action: 'task.created', subject: `task/${id}`, detail })
  if (settings.start) {
    // In one flight: the connection runs them in the order in which they were begun.
    await Promise.all([inserted, moveTask(context, sql, id, 'start', { actor })])
    await openNextAttempt(context, sql, id)
  } else await inserted
  return (await lockTask(sql, id)) as TaskRow
}
