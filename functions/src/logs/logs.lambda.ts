import { httpFunction } from '../http/http-function.ts'
import { logsHandlers } from './logs-handlers.ts'

export const handler = httpFunction('logs', logsHandlers)
