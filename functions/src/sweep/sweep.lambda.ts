import { removeExpired } from '../database/remove-expired.ts'
import { invokedFunction } from '../invocation/invoked-function.ts'
import { runDueWork } from '../rounds/due-work.ts'

/** The backstop for what status calls do anyway, for when no node is alive; and what is removed by age. */
export const handler = invokedFunction('sweep', context => async (_payload, { signal }) => ({
  due: await runDueWork(context, signal),
  removed: await removeExpired(context.database),
}))
