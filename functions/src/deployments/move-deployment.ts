import type { DeploymentChange } from '@tributary/contracts/deployments'
import { DEPLOYMENT_MOVES, type DeploymentEvent } from '@tributary/learning/deployment-state'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import type { Reason } from '../rounds/reason.ts'
import { announceDeployment } from './announce-deployment.ts'
import type { DeploymentRow } from './deployment-row.ts'
import { noteChange } from './note-change.ts'

export type Mover = Pick<Context, 'outbox' | 'audit'>
export type Move = {
  readonly actor: string
  readonly reason?: Reason
  /** The deployment that takes its place. */
  readonly by?: string
}

const actions: Readonly<Record<DeploymentEvent, DeploymentChange['action']>> = {
  advance: 'advanced',
  pause: 'paused',
  resume: 'resumed',
  release: 'released',
  'roll-back': 'rolled-back',
  supersede: 'superseded',
  restore: 'restored',
}

/** Stage and share after an event. */
const placeAfter = (event: DeploymentEvent, { stage, share, stages }: DeploymentRow) => {
  switch (event) {
    case 'advance':
      return { stage: stage + 1, share: stages[stage + 1]?.share ?? 1 }
    case 'pause':
    case 'resume':
      return { stage, share }
    case 'release':
    case 'restore':
      return { stage: stages.length - 1, share: 1 }
    case 'roll-back':
    case 'supersede':
      return { stage, share: 0 }
  }
}

/**
 * One arrow of a deployment's state: a conditional update with its history and audit entry. Where the share changes the revision
 * grows and the regions hear of it; otherwise nothing changes for devices. The caller holds the deployments of the model.
 * @returns false when the deployment is in no state from which the event leads on; nothing is changed then
 */
export const moveDeployment = async (
  context: Mover,
  sql: Transaction,
  row: DeploymentRow,
  event: DeploymentEvent,
  { actor, reason, by }: Move,
): Promise<boolean> => {
  const { from, to } = DEPLOYMENT_MOVES[event]
  const { stage, share } = placeAfter(event, row)
  const hold = row.stages[stage]?.holdSeconds ?? 0
  const due =
    event === 'advance'
      ? sql`now() + make_interval(secs => ${hold})`
      : event === 'resume'
        ? sql`now() + make_interval(secs => coalesce(stage_left, 0))`
        : sql`null::timestamptz`
  // Whoever looked or reported at this moment may have missed the other: one more look does no harm.
  const look = event === 'pause' || event === 'resume' ? sql`now()` : due
  const left = event === 'pause' ? sql`greatest(0, extract(epoch from stage_due_at - now()))` : sql`null`
  const moved = await sql`
    update deployment set state = ${to}, stage = ${stage}, share = ${share},
      revision = revision + ${Number(share !== row.share)}, stage_due_at = ${due}, look_at = ${look}, stage_left = ${left},
      reason = ${reason === undefined ? null : sql.json(asJson(reason))}, superseded_by = ${by ?? null},
      released_at = case when ${to === 'released'} then coalesce(released_at, now()) else released_at end, changed_at = now()
    where id = ${row.id} and revision = ${row.revision} and state = any(${[...from]}::text[])`
  if (moved.count !== 1) return false
  await noteChange(context, sql, row.id, { action: actions[event], actor, reason: reason ?? null })
  if (share !== row.share) await announceDeployment(context, sql, row.id)
  return true
}
