import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { insertTask } from './insert-task.ts'
import { taskView } from './task-view.ts'

/** Creates a task and starts it, or keeps it as a draft. @throws TributaryError as `planTask` */
export const createTask =
  (context: Context): Handler<'createTask'> =>
  async ({ body, actor, signal }, sql) =>
    taskView(await insertTask(context, sql, body, { actor, signal }))
