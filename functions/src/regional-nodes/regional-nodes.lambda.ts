import { httpFunction } from '../http/http-function.ts'
import { regionalNodesHandlers } from './regional-nodes-handlers.ts'

export const handler = httpFunction('regional-nodes', regionalNodesHandlers)
