import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { systemActor } from '../rounds/system-actor.ts'
import { advanceStage } from './advance-stage.ts'
import { type DeploymentRow, lockDeployment } from './deployment-row.ts'
import { judgeDeployment } from './judge-deployment.ts'
import { unhealthy } from './reasons.ts'
import { rollBack } from './roll-back.ts'

/** A stage that has lasted long enough but may not end yet is looked at again after so long. */
const nextLookSeconds = 2

/**
 * Due work: looks whether a deployment goes on to its next stage, or back. Somebody looks when a stage has lasted long enough and
 * when a device says that it cannot serve the version.
 */
export const reviewDeployment = async (
  context: Pick<Context, 'outbox' | 'audit'>,
  sql: Transaction,
  id: string,
): Promise<void> => {
  const row = await lockDeployment(sql, id)
  if (row === undefined || (row.state !== 'rolling-out' && row.state !== 'paused')) return
  // Held, so that a report that is not counted here asks for another look afterwards.
  const [due] = await sql`select 1 from deployment where id = ${id} and look_at <= now() for no key update`
  // Another instance looked meanwhile.
  if (due === undefined) return
  const counts = await countReports(sql, row)
  const { minimumServing } = row.stages[row.stage] ?? { minimumServing: 0 }
  const verdict = judgeDeployment({ ...counts, held: row.held, stage: { minimumServing }, health: row.health })
  if (verdict === 'unhealthy' && row.automatic_roll_back) {
    const reports = counts.serving + counts.unhealthy
    const reason = unhealthy({ unhealthy: counts.unhealthy, reports }, row.health)
    await rollBack(context, sql, row, { actor: systemActor, reason })
  } else if (verdict === 'ready' && row.state === 'rolling-out') {
    await advanceStage(context, sql, row, { actor: systemActor })
  } else {
    // A paused one has no time of its own: only a report makes it worth a look.
    await sql`
      update deployment set look_at = case when state = 'rolling-out'
        then greatest(stage_due_at, now() + make_interval(secs => ${nextLookSeconds})) end
      where id = ${id}`
  }
}

const countReports = async (
  sql: Transaction,
  { id, revision }: DeploymentRow,
): Promise<{ serving: number; unhealthy: number }> => {
  const [counts] = await sql<{ serving: number; unhealthy: number }[]>`
    select (count(*) filter (where state = 'serving'))::integer as serving,
      (count(*) filter (where state = 'unhealthy'))::integer as unhealthy
    from deployment_device where deployment = ${id} and revision = ${revision}`
  return counts ?? { serving: 0, unhealthy: 0 }
}
