import { targetCovers } from '@tributary/learning/deployment-target'
import type { Transaction } from '../database/transaction.ts'
import { type DeploymentRow, deploymentColumns, deploymentSources } from './deployment-row.ts'
import { type Move, type Mover, moveDeployment } from './move-deployment.ts'
import { supersededBy } from './reasons.ts'

/**
 * Releases a deployment to all of its devices. Older ones of the model that are for no other devices end with it; those that are for
 * others too go on there, and a device serves the newest that is for it.
 * @returns false when it is in no state to be released
 */
export const releaseDeployment = async (
  context: Mover,
  sql: Transaction,
  row: DeploymentRow,
  move: Move,
): Promise<boolean> => {
  if (!(await moveDeployment(context, sql, row, 'release', move))) return false
  const older = await sql<DeploymentRow[]>`
    select ${deploymentColumns(sql)} ${deploymentSources(sql)}
    where d.model = ${row.model} and d.state = 'released' and d.id < ${row.id} order by d.id`
  for (const other of older) {
    if (!targetCovers(row.target, other.target)) continue
    await moveDeployment(context, sql, other, 'supersede', {
      actor: move.actor,
      reason: supersededBy(row.id),
      by: row.id,
    })
  }
  return true
}
