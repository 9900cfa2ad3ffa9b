import { TributaryError } from '@tributary/contracts/errors'
import { CreateTask } from '@tributary/contracts/tasks'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { insertTask } from './insert-task.ts'
import { mergePatch } from './merge-patch.ts'
import type { TaskRow } from './task-row.ts'
import { taskView } from './task-view.ts'
import { wantedTask } from './wanted-task.ts'

const mostErrors = 20
const longestText = 200

/**
 * Creates a task with the settings of another and the changes of a merge patch; the result is checked as `createTask`
 * checks its body.
 * @throws TributaryError NOT_FOUND, BODY_INVALID, and as `planTask`
 */
export const cloneTask =
  (context: Context): Handler<'cloneTask'> =>
  async ({ params, body, actor, signal }, sql) => {
    const task = await wantedTask(sql, params.task)
    const parsed = CreateTask.safeParse(mergePatch(originOf(task, body.model), body))
    if (!parsed.success) {
      const errors = parsed.error.issues.slice(0, mostErrors).map(({ path, message }) => ({
        path: path.join('.').slice(0, longestText),
        message: message.slice(0, longestText),
      }))
      throw new TributaryError('BODY_INVALID', { extra: { errors } })
    }
    return taskView(await insertTask(context, sql, parsed.data, { actor, origin: task.id, signal }))
  }

/** What the patch is applied to: the settings, with the version that the task began with unless the patch names another. */
const originOf = ({ settings, startVersion, state }: TaskRow, change: unknown): unknown => {
  const chooses = typeof change === 'object' && change !== null && ('model' in change || 'alias' in change)
  const { model } = settings.model
  return { ...settings, model: chooses ? { model } : { model, version: startVersion }, start: state !== 'draft' }
}
