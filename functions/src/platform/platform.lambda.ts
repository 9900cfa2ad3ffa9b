import { httpFunction } from '../http/http-function.ts'
import { platformHandlers } from './platform-handlers.ts'

export const handler = httpFunction('platform', platformHandlers)
