import { httpFunction } from '../http/http-function.ts'
import { deploymentsHandlers } from './deployments-handlers.ts'

export const handler = httpFunction('deployments', deploymentsHandlers)
