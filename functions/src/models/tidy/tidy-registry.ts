import type { Context } from '../../context.ts'
import { restartJobs } from '../jobs/restart-jobs.ts'
import { removeAbandonedUploads } from './remove-abandoned-uploads.ts'
import { removeAttemptObjects } from './remove-attempt-objects.ts'
import { removeOldJobs } from './remove-old-jobs.ts'
import { removeVersionObjects } from './remove-version-objects.ts'
import { retireVersions } from './retire-versions.ts'

/**
 * What a run of the sweep does for the registry, each part in small steps. A part that fails waits for the next run and keeps no
 * other from its turn.
 * @returns how many things were started, buried and removed
 */
export const tidyRegistry = async (
  context: Pick<Context, 'database' | 'store' | 'audit' | 'log' | 'startVersionJob'>,
  signal: AbortSignal,
): Promise<number> => {
  const parts = [
    () => restartJobs(context),
    () => removeAbandonedUploads(context, signal),
    () => retireVersions(context, signal),
    () => removeVersionObjects(context, signal),
    () => removeAttemptObjects(context, signal),
    () => removeOldJobs(context.database),
  ]
  let done = 0
  for (const part of parts) {
    if (signal.aborted) break
    try {
      done += await part()
    } catch (error) {
      context.log.error({ error }, 'the registry could not be tidied; the next run tries again')
    }
  }
  return done
}
