import { invokedFunction } from '../invocation/invoked-function.ts'
import { runDueWork } from '../rounds/due-work.ts'

/** The backstop for what status calls do anyway, for when no node is alive. */
export const handler = invokedFunction(
  'sweep',
  context =>
    (_payload, { signal }) =>
      runDueWork(context, signal),
)
