import { invokedFunction } from '../invocation/invoked-function.ts'
import { centralEventsHandler } from './central-events.ts'

export const handler = invokedFunction('events', centralEventsHandler)
