import { TributaryError } from '@tributary/contracts/errors'
import { CreateTask } from '@tributary/contracts/tasks'
import type { Context } from '../context.ts'
import type { PreparedHandler } from '../http/handler.ts'
import { insertTask } from './insert-task.ts'
import { mergePatch } from './merge-patch.ts'
import { type PreparedTask, prepareTask } from './prepare-task.ts'
import type { TaskRow } from './task-row.ts'
import { taskView } from './task-view.ts'
import { wantedTask } from './wanted-task.ts'

const mostErrors = 20
const longestText = 200

type PreparedClone = { readonly settings: CreateTask; readonly prepared: PreparedTask | null }

/**
 * Creates a task with the settings of another and the changes of a merge patch; the result is checked as `createTask`
 * checks its body.
 * @throws TributaryError NOT_FOUND, BODY_INVALID, and as `prepareTask` and `planTask`
 */
export const cloneTask = (context: Context): PreparedHandler<'cloneTask', PreparedClone> => ({
  async prepare({ params, body, signal }) {
    const task = await context.database.transaction(sql => wantedTask(sql, params.task))
    const parsed = CreateTask.safeParse(mergePatch(originOf(task, body), body))
    if (!parsed.success) {
      const errors = parsed.error.issues.slice(0, mostErrors).map(({ path, message }) => ({
        path: path.join('.').slice(0, longestText),
        message: message.slice(0, longestText),
      }))
      throw new TributaryError('BODY_INVALID', { extra: { errors } })
    }
    return { settings: parsed.data, prepared: await prepareTask(context, parsed.data, signal) }
  },
  apply: async ({ params, actor }, sql, { settings, prepared }) =>
    taskView(await insertTask(context, sql, settings, { actor, origin: params.task, prepared })),
})

/** What the patch is applied to: the settings, with the versions that the task began with unless the patch names others. */
const originOf = ({ settings, startVersion, state }: TaskRow, patch: Readonly<Record<string, unknown>>): unknown => {
  const { model, statistics } = settings
  return {
    ...settings,
    model: choiceOf({ ...model, version: startVersion }, patch.model),
    ...(statistics && { statistics: choiceOf(statistics, patch.statistics) }),
    start: state !== 'draft',
  }
}

/** Of another model, or where an alias is named, the version is another. */
const choiceOf = ({ model, version }: CreateTask['model'], patch: unknown): unknown =>
  typeof patch === 'object' && patch !== null && ('model' in patch || 'alias' in patch) ? { model } : { model, version }
