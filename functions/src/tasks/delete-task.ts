import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { stateConflict, wantedTask } from './wanted-task.ts'

/** Deletes a draft: nothing refers to it yet. @throws TributaryError NOT_FOUND, STATE_CONFLICT */
export const deleteTask =
  ({ audit }: Pick<Context, 'audit'>): Handler<'deleteTask'> =>
  async ({ params, actor }, sql) => {
    const task = await wantedTask(sql, params.task)
    const deleted = await sql`delete from task where id = ${task.id} and state = 'draft'`
    if (deleted.count !== 1) throw stateConflict(task, 'a draft can be deleted; cancel it instead')
    audit.append(sql, { actor, action: 'task.deleted', subject: `task/${task.id}`, detail: { name: task.name } })
  }
