import type { DeploymentView } from '@tributary/contracts/deployments'
import { TributaryError } from '@tributary/contracts/errors'
import type { Transaction } from '../database/transaction.ts'
import type { RouteRequest } from '../http/handler.ts'
import { advanceStage } from './advance-stage.ts'
import { type DeploymentRow, wantedDeployment } from './deployment-row.ts'
import { selectDeploymentView } from './deployment-view.ts'
import { type Move, type Mover, moveDeployment } from './move-deployment.ts'
import { rolledBackBy } from './reasons.ts'
import { releaseDeployment } from './release-deployment.ts'
import { rollBack } from './roll-back.ts'

/** The five routes have one form. */
type MoveHandler = (
  request: Pick<RouteRequest<'pauseDeployment'>, 'params' | 'actor'>,
  sql: Transaction,
) => Promise<DeploymentView>

/** An arrow that an operator asks for. @throws TributaryError NOT_FOUND, STATE_CONFLICT */
const asked =
  (
    /** When it may be asked for. */
    allowed: string,
    move: (sql: Transaction, row: DeploymentRow, move: Move) => Promise<boolean>,
  ): MoveHandler =>
  async ({ params, actor }, sql) => {
    const row = await wantedDeployment(sql, params.deployment)
    if (!(await move(sql, row, { actor }))) {
      throw new TributaryError('STATE_CONFLICT', { detail: `The deployment is ${row.state}; ${allowed}.` })
    }
    return selectDeploymentView(sql, row.id)
  }

export const pauseDeployment = (context: Mover): MoveHandler =>
  asked('one that is rolling out can be paused', (sql, row, move) => moveDeployment(context, sql, row, 'pause', move))

export const resumeDeployment = (context: Mover): MoveHandler =>
  asked('a paused one can be resumed', (sql, row, move) => moveDeployment(context, sql, row, 'resume', move))

export const advanceDeployment = (context: Mover): MoveHandler =>
  asked('one that is rolling out can be advanced', (sql, row, move) => advanceStage(context, sql, row, move))

export const completeDeployment = (context: Mover): MoveHandler =>
  asked('one that is rolling out or paused can be completed', (sql, row, move) =>
    releaseDeployment(context, sql, row, move),
  )

export const rollBackDeployment = (context: Mover): MoveHandler =>
  asked('one that is rolling out, paused or released can be rolled back', (sql, row, move) =>
    rollBack(context, sql, row, { ...move, reason: rolledBackBy(move.actor) }),
  )
