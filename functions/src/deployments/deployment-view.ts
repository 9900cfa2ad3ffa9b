import type { DeploymentView } from '@tributary/contracts/deployments'
import { TributaryError } from '@tributary/contracts/errors'
import type { Sql } from '../database/transaction.ts'
import { type DeploymentRow, selectDeployment } from './deployment-row.ts'

export const deploymentViewOf = (row: DeploymentRow): DeploymentView => ({
  id: row.id,
  model: row.model,
  modelName: row.model_name,
  version: row.version,
  versionNumber: row.version_number,
  state: row.state,
  reason: row.reason,
  revision: row.revision,
  target: row.target,
  stages: [...row.stages],
  stage: row.stage,
  share: row.share,
  stageDueAt: row.stage_due_at?.toISOString() ?? null,
  health: row.health,
  automaticRollBack: row.automatic_roll_back,
  ...(row.personalise !== null && { personalise: row.personalise }),
  previous: row.previous,
  supersededBy: row.superseded_by,
  createdAt: row.created_at.toISOString(),
  createdBy: row.created_by,
  changedAt: row.changed_at.toISOString(),
})

/** @throws TributaryError NOT_FOUND */
export const selectDeploymentView = async (sql: Sql, id: string): Promise<DeploymentView> => {
  const row = await selectDeployment(sql, id)
  if (row === undefined) throw new TributaryError('NOT_FOUND')
  return deploymentViewOf(row)
}
