import type { DeploymentDevice } from '@tributary/contracts/deployments'
import { TributaryError } from '@tributary/contracts/errors'
import { Uuid } from '@tributary/contracts/ids'
import type { Personalised } from '@tributary/contracts/personalisation'
import type { Context } from '../context.ts'
import type { Sql } from '../database/transaction.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler, RouteRequest } from '../http/handler.ts'

type Row = Omit<DeploymentDevice, 'reportedAt' | 'personalised'> & {
  reported_at: Date
  personalised: Personalised | null
}

/** What devices said last, by device. @throws TributaryError NOT_FOUND */
export const listDeploymentDevices =
  ({ database }: Pick<Context, 'database'>): Handler<'listDeploymentDevices'> =>
  async ({ params: { deployment }, query }) => {
    const rows = await database.read(async sql => {
      const known = await sql`select 1 from deployment where id = ${deployment}`
      if (known.length === 0) throw new TributaryError('NOT_FOUND')
      return sql<Row[]>`${deploymentDevicePage(sql, deployment, query)}`
    })
    return pageOf(rows, query.limit, {
      item: ({ reported_at: at, personalised, ...row }) => ({
        ...row,
        ...(personalised !== null && { personalised }),
        reportedAt: at.toISOString(),
      }),
      position: ({ device }) => device,
    })
  }

/** One row more than the page has. */
export const deploymentDevicePage = (
  sql: Sql,
  deployment: string,
  { cursor, limit, state }: RouteRequest<'listDeploymentDevices'>['query'],
) => {
  const after = decodeCursor(cursor, Uuid)
  return sql`
    select p.device, d.label, p.region, p.state, p.revision, p.revision <> x.revision as outdated, p.detail, p.personalised,
      p.reported_at
    from deployment_device p join deployment x on x.id = p.deployment join device d on d.id = p.device
    where p.deployment = ${deployment} and ${state === undefined ? sql`true` : sql`p.state = ${state}`}
      and ${after === null ? sql`true` : sql`p.device > ${after}`}
    order by p.device limit ${limit + 1}`
}
