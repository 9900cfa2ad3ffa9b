import type { Context } from '../context.ts'
import { asJson } from '../database/transaction.ts'
import type { PreparedHandler } from '../http/handler.ts'
import { openNextAttempt } from '../rounds/open-next-attempt.ts'
import { moveTask } from './move-task.ts'
import { planTask } from './plan-task.ts'
import { type PreparedTask, prepareTask } from './prepare-task.ts'
import { seedText } from './task-seed.ts'
import { taskView } from './task-view.ts'
import { stateConflict, wantedTask } from './wanted-task.ts'

/**
 * Replaces all settings of a draft, and starts it where `start` is true. A seed that is not given stays.
 * @throws TributaryError NOT_FOUND, STATE_CONFLICT, and as `prepareTask` and `planTask`
 */
export const editTask = (context: Context): PreparedHandler<'editTask', PreparedTask | null> => ({
  prepare: ({ body, signal }) => prepareTask(context, body, signal),
  async apply({ params, body, actor }, sql, prepared) {
    const task = await wantedTask(sql, params.task)
    const only = 'a draft can be edited; clone it with changes'
    if (task.state !== 'draft') throw stateConflict(task, only)
    const { seed: drawn } = task.settings
    const wishes = { ...(drawn !== undefined && { seed: drawn }), ...body }
    const plan = await planTask(sql, wishes, prepared)
    const { settings, seed, version, regions, rounds, statistics, local } = plan
    const edited = await sql`
      update task set name = ${settings.name}, model = ${settings.model.model}, start_version = ${version},
        current_version = ${version}, rounds_wanted = ${rounds}, settings = ${sql.json(asJson(settings))},
        seed = ${seedText(seed)}, regions = ${[...regions]}::text[], priority = ${settings.priority},
        start_at = ${settings.startAt ?? null}, statistics = ${statistics}, manifest = ${local && sql.json(asJson(local.manifest))},
        kept_local = ${local && sql.json(asJson(local.keptLocal))}
      where id = ${task.id} and state = 'draft'`
    if (edited.count !== 1) throw stateConflict(task, only)
    context.audit.append(sql, { actor, action: 'task.edited', subject: `task/${task.id}`, detail: { settings } })
    if (body.start) {
      await moveTask(context, sql, task.id, 'start', { actor })
      await openNextAttempt(context, sql, task.id)
    }
    return taskView(await wantedTask(sql, task.id))
  },
})
