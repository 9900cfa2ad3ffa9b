import type { DeploymentChange } from '@tributary/contracts/deployments'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import type { Reason } from '../rounds/reason.ts'

/** Writes a change into the deployment's history and into the audit trail. */
export const noteChange = async (
  { audit }: Pick<Context, 'audit'>,
  sql: Transaction,
  deployment: string,
  { action, actor, reason }: { action: DeploymentChange['action']; actor: string; reason: Reason | null },
): Promise<void> => {
  const [change] = await sql<{ stage: number; share: number; revision: number }[]>`
    insert into deployment_change (deployment, action, stage, share, revision, reason, changed_by)
    select id, ${action}, stage, share, revision, ${reason === null ? null : sql.json(asJson(reason))}, ${actor}
    from deployment where id = ${deployment}
    returning stage, share, revision`
  const detail = { ...change, ...(reason && { reason }) }
  audit.append(sql, { actor, action: `deployment.${action}`, subject: `deployment/${deployment}`, detail })
}
