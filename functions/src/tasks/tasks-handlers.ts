import type { Context } from '../context.ts'
import type { Handlers } from '../http/handler.ts'
import { cancelTask } from './cancel-task.ts'
import { cloneTask } from './clone-task.ts'
import { createTask } from './create-task.ts'
import { deleteTask } from './delete-task.ts'
import { editTask } from './edit-task.ts'
import { getTask } from './get-task.ts'
import { listParticipants } from './list-participants.ts'
import { listTaskLogs } from './list-task-logs.ts'
import { listTasks } from './list-tasks.ts'
import { pauseTask } from './pause-task.ts'
import { resumeTask } from './resume-task.ts'
import { retryTask } from './retry-task.ts'
import { startTask } from './start-task.ts'

export const tasksHandlers = (context: Context): Handlers<'tasks'> => ({
  createTask: createTask(context),
  listTasks: listTasks(context),
  getTask: getTask(context),
  editTask: editTask(context),
  deleteTask: deleteTask(context),
  startTask: startTask(context),
  pauseTask: pauseTask(context),
  resumeTask: resumeTask(context),
  retryTask: retryTask(context),
  cloneTask: cloneTask(context),
  cancelTask: cancelTask(context),
  listParticipants: listParticipants(context),
  listTaskLogs: listTaskLogs(context),
})
