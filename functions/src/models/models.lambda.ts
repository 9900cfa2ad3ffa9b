import { httpFunction } from '../http/http-function.ts'
import { modelsHandlers } from './models-handlers.ts'

export const handler = httpFunction('models', modelsHandlers)
