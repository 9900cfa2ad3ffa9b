import type { Transaction } from '../database/transaction.ts'
import { type DeploymentRow, deploymentColumns, deploymentSources } from './deployment-row.ts'
import { type Move, type Mover, moveDeployment } from './move-deployment.ts'

/**
 * Takes a deployment back. What it had superseded when it was released comes back, so that devices serve what they served before;
 * where it was not released yet, that is still there.
 * @returns false when it is in no state to be rolled back
 */
export const rollBack = async (context: Mover, sql: Transaction, row: DeploymentRow, move: Move): Promise<boolean> => {
  if (!(await moveDeployment(context, sql, row, 'roll-back', move))) return false
  const before = await sql<DeploymentRow[]>`
    select ${deploymentColumns(sql)} ${deploymentSources(sql)}
    where d.superseded_by = ${row.id} and d.state = 'superseded' and d.released_at is not null and v.state = 'ready'
    order by d.id for key share of v`
  for (const other of before) await moveDeployment(context, sql, other, 'restore', { actor: move.actor })
  return true
}
