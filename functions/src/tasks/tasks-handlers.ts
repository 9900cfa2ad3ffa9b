import type { Context } from '../context.ts'
import type { Handlers } from '../http/handler.ts'
import { cancelTask } from './cancel-task.ts'
import { cloneTask } from './clone-task.ts'
import { createTask } from './create-task.ts'
import { deleteTask } from './delete-task.ts'
import { editTask } from './edit-task.ts'
import { getTask } from './get-task.ts'
import { listTasks } from './list-tasks.ts'
import { getTaskMetrics } from './metrics/get-task-metrics.ts'
import { getParticipant } from './participants/get-participant.ts'
import { listParticipants } from './participants/list-participants.ts'
import { pauseTask } from './pause-task.ts'
import { resumeTask } from './resume-task.ts'
import { retryTask } from './retry-task.ts'
import { getRound } from './rounds/get-round.ts'
import { listRounds } from './rounds/list-rounds.ts'
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
  listRounds: listRounds(context),
  getRound: getRound(context),
  getParticipant: getParticipant(context),
  listParticipants: listParticipants(context),
  getTaskMetrics: getTaskMetrics(context),
})
