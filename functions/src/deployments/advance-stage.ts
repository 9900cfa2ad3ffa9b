import type { Transaction } from '../database/transaction.ts'
import type { DeploymentRow } from './deployment-row.ts'
import { type Move, type Mover, moveDeployment } from './move-deployment.ts'
import { releaseDeployment } from './release-deployment.ts'

/** Begins the next stage; after the last the version is released. @returns false while it is not rolling out */
export const advanceStage = async (
  context: Mover,
  sql: Transaction,
  row: DeploymentRow,
  move: Move,
): Promise<boolean> => {
  if (row.state !== 'rolling-out') return false
  return row.stage + 1 < row.stages.length
    ? moveDeployment(context, sql, row, 'advance', move)
    : releaseDeployment(context, sql, row, move)
}
