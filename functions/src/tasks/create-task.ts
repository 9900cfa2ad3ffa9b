import type { CreateTask } from '@tributary/contracts/tasks'
import type { Context } from '../context.ts'
import { asJson } from '../database/transaction.ts'
import type { Handler } from '../http/handler.ts'
import { openNextAttempt } from '../rounds/open-next-attempt.ts'
import { checkRegions, checkTask } from './check-task.ts'
import { chooseVersion } from './choose-version.ts'
import { moveTask } from './move-task.ts'
import { lockTask, type TaskRow } from './task-row.ts'
import { drawSeed, seedText } from './task-seed.ts'
import { taskView } from './task-view.ts'

/** Creates a task and, where it is to start, opens its first attempt in the same transaction if devices are there. */
export const createTask =
  (context: Context): Handler<'createTask'> =>
  async ({ body, actor }, sql) => {
    const version = await chooseVersion(sql, body.model)
    checkTask(body, version)
    await checkRegions(sql, body.regions)
    const id = context.ids.next()
    const seed = body.seed ?? drawSeed()
    const settings: CreateTask = { ...body, seed }
    await sql`
      insert into task (id, name, state, model, start_version, current_version, rounds_wanted, settings, seed, created_by)
      values (${id}, ${settings.name}, 'draft', ${body.model.model}, ${version.id}, ${version.id}, ${body.rounds},
        ${sql.json(asJson(settings))}, ${seedText(seed)}, ${actor})`
    context.audit.append(sql, { actor, action: 'task.created', subject: `task/${id}`, detail: { settings } })
    if (body.start) {
      await moveTask(context, sql, id, 'start', { actor })
      await openNextAttempt(context, sql, id)
    }
    return taskView((await lockTask(sql, id)) as TaskRow)
  }
