import type { DeploymentChange } from '@tributary/contracts/deployments'
import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Sql } from '../database/transaction.ts'
import type { Handler } from '../http/handler.ts'
import { countFitting, countPersonalised, countsByRegion, type RegionCounts, sumOf } from './count-devices.ts'
import { selectDeployment } from './deployment-row.ts'
import { deploymentViewOf } from './deployment-view.ts'

const mostChanges = 100

/** @throws TributaryError NOT_FOUND */
export const getDeployment =
  ({ database }: Pick<Context, 'database'>): Handler<'getDeployment'> =>
  ({ params: { deployment } }) =>
    database.read(async sql => {
      const row = await selectDeployment(sql, deployment)
      if (row === undefined) throw new TributaryError('NOT_FOUND')
      const [regions, fitting, history, personalised] = await Promise.all([
        sql<RegionCounts[]>`${countsByRegion(sql, row)}`,
        countFitting(sql, row.target),
        readHistory(sql, deployment),
        row.personalise === null ? undefined : countPersonalised(sql, row),
      ])
      return {
        ...deploymentViewOf(row),
        fitting,
        counts: sumOf(regions),
        regions: [...regions],
        ...(personalised && { personalised }),
        history,
      }
    })

type ChangeRow = Omit<DeploymentChange, 'changedAt' | 'changedBy'> & { changed_at: Date; changed_by: string }

const readHistory = async (sql: Sql, deployment: string): Promise<DeploymentChange[]> => {
  const rows = await sql<ChangeRow[]>`
    select action, stage, share, revision, reason, changed_at, changed_by from deployment_change
    where deployment = ${deployment} order by id desc limit ${mostChanges}`
  return rows.map(({ changed_at: at, changed_by: changedBy, ...change }) => ({
    ...change,
    changedAt: at.toISOString(),
    changedBy,
  }))
}
