import * as z from 'zod'
import * as deployments from '../deployments.ts'
import { Slug, Uuid } from '../ids.ts'
import { mutation, operator, page, pageOf, type Route, reading, viewer } from './route.ts'

const deploymentParams = z.object({ deployment: Uuid })

/** One arrow of a deployment's state, asked for by an operator. */
const move = {
  ...mutation,
  status: 200,
  method: 'POST',
  function: 'deployments',
  access: operator,
  params: deploymentParams,
  answer: deployments.DeploymentView,
} as const

export const deploymentRoutes = {
  createDeployment: {
    ...mutation,
    method: 'POST',
    path: '/v1/deployments',
    function: 'deployments',
    access: operator,
    summary: 'Release a version of a model to devices, stage by stage.',
    body: deployments.CreateDeployment,
    answer: deployments.DeploymentView,
  },
  listDeployments: {
    ...reading,
    method: 'GET',
    path: '/v1/deployments',
    function: 'deployments',
    access: viewer,
    summary: 'Deployments, newest first.',
    query: page.extend({
      model: Uuid.optional(),
      version: Uuid.optional(),
      state: deployments.DeploymentState.optional(),
      /** Those that concern this region. */
      region: Slug.optional(),
    }),
    answer: pageOf(deployments.DeploymentView),
  },
  getDeployment: {
    ...reading,
    method: 'GET',
    path: '/v1/deployments/{deployment}',
    function: 'deployments',
    access: viewer,
    summary: 'One deployment, with how its devices fare and what became of it so far.',
    params: deploymentParams,
    answer: deployments.DeploymentDetail,
  },
  listDeploymentDevices: {
    ...reading,
    method: 'GET',
    path: '/v1/deployments/{deployment}/devices',
    function: 'deployments',
    access: viewer,
    summary: 'What devices said of a deployment last, by device.',
    params: deploymentParams,
    query: page.extend({ state: deployments.DeploymentReport.shape.state.optional() }),
    answer: pageOf(deployments.DeploymentDevice),
  },
  pauseDeployment: {
    ...move,
    path: '/v1/deployments/{deployment}/pause',
    summary: 'Stay in the current stage; devices that serve the version go on.',
  },
  resumeDeployment: {
    ...move,
    path: '/v1/deployments/{deployment}/resume',
    summary: 'Go on with a paused deployment; what is left of the stage has still to pass.',
  },
  advanceDeployment: {
    ...move,
    path: '/v1/deployments/{deployment}/advance',
    summary: 'Begin the next stage now; after the last the version is released.',
  },
  completeDeployment: {
    ...move,
    path: '/v1/deployments/{deployment}/complete',
    summary: 'Release the version to all fitting devices now.',
  },
  rollBackDeployment: {
    ...move,
    path: '/v1/deployments/{deployment}/roll-back',
    summary: 'Take the version back; devices serve what they served before.',
  },
} as const satisfies Record<string, Route>
