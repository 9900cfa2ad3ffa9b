import type { Database } from '../../database/database.ts'

/** A comparison is made anew where somebody asks again. */
const doneDays = 30
/** One that failed may have another try. */
const failedHours = 1
const mostRows = 1000

/** Removes jobs that have had their time. @returns how many */
export const removeOldJobs = async (database: Database): Promise<number> => {
  const { count } = await database.read(
    sql => sql`
      delete from version_job where id in (
        select id from version_job
        where (state = 'done' and created_at < now() - make_interval(days => ${doneDays}))
          or (state = 'failed' and created_at < now() - make_interval(hours => ${failedHours}))
        limit ${mostRows})`,
  )
  return count
}
