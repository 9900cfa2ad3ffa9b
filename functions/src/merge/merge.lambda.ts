import { invokedFunction } from '../invocation/invoked-function.ts'
import { mergeHandler } from './merge-handler.ts'

export const handler = invokedFunction('merge', mergeHandler, { statementSeconds: 60 })
