import { Uuid } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import type { Sql } from '../database/transaction.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler, RouteRequest } from '../http/handler.ts'
import { type DeploymentRow, deploymentColumns, deploymentSources } from './deployment-row.ts'
import { deploymentViewOf } from './deployment-view.ts'

/** Deployments, newest first: ids are by time. */
export const listDeployments =
  ({ database }: Pick<Context, 'database'>): Handler<'listDeployments'> =>
  async ({ query }) => {
    const rows = await database.read(sql => sql<DeploymentRow[]>`${deploymentPage(sql, query)}`)
    return pageOf(rows, query.limit, { item: deploymentViewOf, position: ({ id }) => id })
  }

/** One row more than the page has. */
export const deploymentPage = (
  sql: Sql,
  { cursor, limit, model, version, state, region }: RouteRequest<'listDeployments'>['query'],
) => {
  const before = decodeCursor(cursor, Uuid)
  const conditions = [
    before === null ? null : sql`d.id < ${before}`,
    model === undefined ? null : sql`d.model = ${model}`,
    version === undefined ? null : sql`d.version = ${version}`,
    state === undefined ? null : sql`d.state = ${state}`,
    region === undefined ? null : sql`(d.regions = '{}' or ${region} = any(d.regions))`,
  ].filter(condition => condition !== null)
  const where = conditions.reduce((all, condition) => sql`${all} and ${condition}`, sql`true`)
  return sql`
    select ${deploymentColumns(sql)} ${deploymentSources(sql)} where ${where} order by d.id desc limit ${limit + 1}`
}
