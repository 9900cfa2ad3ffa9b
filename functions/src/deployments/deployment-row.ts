import type {
  DeploymentHealth,
  DeploymentStage,
  DeploymentState,
  DeploymentTarget,
} from '@tributary/contracts/deployments'
import { TributaryError } from '@tributary/contracts/errors'
import type { Personalise } from '@tributary/contracts/personalisation'
import type { Sql, Transaction } from '../database/transaction.ts'
import type { Reason } from '../rounds/reason.ts'

export type DeploymentRow = {
  readonly id: string
  readonly model: string
  readonly model_name: string
  readonly version: string
  readonly version_number: number
  readonly state: DeploymentState
  readonly reason: Reason | null
  readonly revision: number
  readonly target: DeploymentTarget
  readonly stages: readonly DeploymentStage[]
  readonly stage: number
  readonly share: number
  readonly stage_due_at: Date | null
  /** Whether the stage has lasted long enough, by the database's clock. */
  readonly held: boolean
  readonly health: DeploymentHealth
  readonly automatic_roll_back: boolean
  readonly personalise: Personalise | null
  readonly previous: string | null
  readonly superseded_by: string | null
  readonly created_at: Date
  readonly created_by: string
  readonly changed_at: Date
}

/** Columns of a DeploymentRow over `deploymentSources`. */
export const deploymentColumns = (sql: Sql) => sql`
  d.id, d.model, m.name as model_name, d.version, v.number as version_number, d.state, d.reason, d.revision, d.target, d.stages,
  d.stage, d.share, d.stage_due_at, coalesce(d.stage_due_at <= now(), false) as held, d.health, d.automatic_roll_back, d.personalise, d.previous,
  d.superseded_by, d.created_at, d.created_by, d.changed_at`

export const deploymentSources = (sql: Sql) => sql`
  from deployment d join model m on m.id = d.model join model_version v on v.id = d.version`

export const selectDeployment = async (sql: Sql, id: string): Promise<DeploymentRow | undefined> => {
  const [row] = await sql<DeploymentRow[]>`
    select ${deploymentColumns(sql)} ${deploymentSources(sql)} where d.id = ${id}`
  return row
}

/** Changes of deployments of one model take turns, since one may end or bring back others. */
export const lockDeploymentsOf = async (sql: Transaction, model: string): Promise<boolean> => {
  const rows = await sql`select 1 from model where id = ${model} for no key update`
  return rows.length === 1
}

/** The deployment as it is until the transaction ends. */
export const lockDeployment = async (sql: Transaction, id: string): Promise<DeploymentRow | undefined> => {
  const [known] = await sql<{ model: string }[]>`select model from deployment where id = ${id}`
  if (known === undefined) return undefined
  await lockDeploymentsOf(sql, known.model)
  return selectDeployment(sql, id)
}

/** @throws TributaryError NOT_FOUND */
export const wantedDeployment = async (sql: Transaction, id: string): Promise<DeploymentRow> => {
  const row = await lockDeployment(sql, id)
  if (row === undefined) throw new TributaryError('NOT_FOUND')
  return row
}
