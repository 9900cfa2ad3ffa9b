import type { Context } from '../context.ts'
import type { Handlers } from '../http/handler.ts'
import { cancelTask } from './cancel-task.ts'
import { createTask } from './create-task.ts'
import { getTask } from './get-task.ts'
import { listParticipants } from './list-participants.ts'
import { listTaskLogs } from './list-task-logs.ts'
import { listTasks } from './list-tasks.ts'
import { startTask } from './start-task.ts'

export const tasksHandlers = (context: Context): Handlers<'tasks'> => ({
  createTask: createTask(context),
  listTasks: listTasks(context),
  getTask: getTask(context),
  startTask: startTask(context),
  cancelTask: cancelTask(context),
  listParticipants: listParticipants(context),
  listTaskLogs: listTaskLogs(context),
})
