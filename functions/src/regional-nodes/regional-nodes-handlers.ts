import type { Context } from '../context.ts'
import type { Handlers } from '../http/handler.ts'
import { reportNodeLogs } from './report-node-logs.ts'
import { reportNodeStatus } from './report-node-status.ts'

export const regionalNodesHandlers = (context: Context): Handlers<'regional-nodes'> => ({
  reportNodeStatus: reportNodeStatus(context),
  reportNodeLogs: reportNodeLogs(context),
})
