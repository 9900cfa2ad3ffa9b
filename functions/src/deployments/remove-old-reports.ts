import type { Database } from '../database/database.ts'

/** Whoever wanted to know how single devices fared has looked by then; what became of the deployment stays. */
const keptDays = 90
const mostRows = 5000

/** Removes what devices said of deployments that are long over. @returns how many rows went */
export const removeOldReports = async (database: Database): Promise<number> => {
  const { count } = await database.read(
    sql => sql`
      delete from deployment_device where (deployment, device) in (
        select p.deployment, p.device from deployment d join deployment_device p on p.deployment = d.id
        where d.state in ('rolled-back', 'superseded') and d.changed_at < now() - make_interval(days => ${keptDays})
        limit ${mostRows})`,
  )
  return count
}
