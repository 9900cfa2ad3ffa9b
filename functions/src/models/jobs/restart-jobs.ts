import type { Context } from '../../context.ts'
import { silentSeconds } from './job.ts'

/** Started at a time. */
const mostJobs = 10

/**
 * Starts jobs anew that nobody works on: their start was lost, or their run has fallen silent.
 * @param version only those of this version
 * @returns how many were started
 */
export const restartJobs = async (
  { database, startVersionJob }: Pick<Context, 'database' | 'startVersionJob'>,
  version?: string,
): Promise<number> => {
  const silent = await database.read(
    sql => sql<{ id: string }[]>`
      select id from version_job
      where state = 'waiting' and coalesce(beat_at, created_at) < now() - make_interval(secs => ${silentSeconds})
        and ${version === undefined ? sql`true` : sql`version = ${version}`}
      order by created_at limit ${mostJobs}`,
  )
  for (const { id } of silent) await startVersionJob(id)
  return silent.length
}
