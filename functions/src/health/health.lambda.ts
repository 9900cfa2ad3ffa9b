import { httpFunction } from '../http/http-function.ts'
import { getHealth } from './get-health.ts'

export const handler = httpFunction('health', context => ({ getHealth: getHealth(context) }))
