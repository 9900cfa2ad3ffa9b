import type { Context } from '../context.ts'
import type { Handlers } from '../http/handler.ts'
import { createDeployment } from './create-deployment.ts'
import { getDeployment } from './get-deployment.ts'
import { listDeploymentDevices } from './list-deployment-devices.ts'
import { listDeployments } from './list-deployments.ts'
import {
  advanceDeployment,
  completeDeployment,
  pauseDeployment,
  resumeDeployment,
  rollBackDeployment,
} from './move-handlers.ts'

export const deploymentsHandlers = (
  context: Pick<Context, 'database' | 'outbox' | 'audit' | 'ids'>,
): Handlers<'deployments'> => ({
  createDeployment: createDeployment(context),
  listDeployments: listDeployments(context),
  getDeployment: getDeployment(context),
  listDeploymentDevices: listDeploymentDevices(context),
  pauseDeployment: pauseDeployment(context),
  resumeDeployment: resumeDeployment(context),
  advanceDeployment: advanceDeployment(context),
  completeDeployment: completeDeployment(context),
  rollBackDeployment: rollBackDeployment(context),
})
