import { httpFunction } from '../http/http-function.ts'
import { tasksHandlers } from './tasks-handlers.ts'

export const handler = httpFunction('tasks', tasksHandlers)
