import type { Context } from '../context.ts'
import type { Handlers } from '../http/handler.ts'
import { listLogs } from './list-logs.ts'
import { listTaskLogs } from './list-task-logs.ts'

export const logsHandlers = (context: Pick<Context, 'database'>): Handlers<'logs'> => ({
  listTaskLogs: listTaskLogs(context),
  listLogs: listLogs(context),
})
