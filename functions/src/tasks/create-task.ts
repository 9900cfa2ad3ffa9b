import type { Context } from '../context.ts'
import type { PreparedHandler } from '../http/handler.ts'
import { insertTask } from './insert-task.ts'
import { type PreparedTask, prepareTask } from './prepare-task.ts'
import { taskView } from './task-view.ts'

/** Creates a task and starts it, or keeps it as a draft. @throws TributaryError as `prepareTask` and `planTask` */
export const createTask = (context: Context): PreparedHandler<'createTask', PreparedTask | null> => ({
  prepare: ({ body, signal }) => prepareTask(context, body, signal),
  apply: async ({ body, actor }, sql, prepared) => taskView(await insertTask(context, sql, body, { actor, prepared })),
})
