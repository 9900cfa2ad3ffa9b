import * as z from 'zod'
import { Labels, ObjectRef, Slug, Uuid } from './ids.ts'

/** Which devices a deployment is for. A device fits where every line fits. */
export const DeploymentTarget = z.strictObject({
  /** Any of these regions; empty: all. */
  regions: z.array(Slug).max(4096).default([]),
  /** Any of these groups; empty: every device. */
  groups: z.array(Slug).max(64).default([]),
  /** All of these labels, with these values. */
  labels: Labels.default({}),
})
export type DeploymentTarget = z.infer<typeof DeploymentTarget>

/**
 * A version that devices should serve. Whether a device is in the share is decided by its id alone
 * (`inDeploymentShare` of `learning`), so that a growing share only adds devices.
 */
export const DeploymentDescriptor = z.object({
  deployment: Uuid,
  model: Uuid,
  modelName: z.string(),
  /** Grows with every change of the deployment; reports of an older one do not count. */
  revision: z.int().positive(),
  weights: ObjectRef.extend({ version: Uuid, number: z.int().nonnegative() }),
  manifest: ObjectRef,
  graph: ObjectRef,
  target: DeploymentTarget,
  /** Share of the fitting devices, 0 to 1. At 0 all go back to what they served before. */
  share: z.number().min(0).max(1),
})
export type DeploymentDescriptor = z.infer<typeof DeploymentDescriptor>

/** How one device fares with a deployed version. */
export const DeploymentReport = z.object({
  deployment: Uuid,
  revision: z.int().positive(),
  device: Uuid,
  state: z.enum(['pulling', 'serving', 'unhealthy', 'rolled-back']),
  /** Why a device is unhealthy or went back. */
  detail: z.string().max(500).optional(),
})
export type DeploymentReport = z.infer<typeof DeploymentReport>
