import * as z from 'zod'
import { Labels, ObjectRef, Slug, Timestamp, Uuid } from './ids.ts'
import { Personalise, Personalised } from './personalisation.ts'

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
  /** The task that made the version; absent for one that was uploaded. */
  task: Uuid.optional(),
  /** Absent: devices serve the version as it is. */
  personalise: Personalise.optional(),
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
  /** `refused`: the owner of the device does not allow it, which says nothing about the version. */
  state: z.enum(['pulling', 'serving', 'unhealthy', 'rolled-back', 'refused']),
  /** Why a device is unhealthy, went back, or refused. */
  detail: z.string().max(500).optional(),
  /** How fine-tuning came out; absent where nobody asked for it, or while it goes on. */
  personalised: Personalised.optional(),
})
export type DeploymentReport = z.infer<typeof DeploymentReport>

/** Live deployments at once: each goes out to the nodes with every answer to their status. */
export const mostLiveDeployments = 64

export const DeploymentStage = z.strictObject({
  /** Share of the fitting devices that serve the version from this stage on. */
  share: z.number().gt(0).max(1),
  /** The stage lasts at least so long. */
  holdSeconds: z.int().min(0).max(2_592_000),
  /** And until at least so many devices say that they serve it. */
  minimumServing: z.int().min(0).max(10_000_000).default(0),
})
export type DeploymentStage = z.infer<typeof DeploymentStage>

/** When a deployment is unhealthy: by reports of its current revision alone. */
export const DeploymentHealth = z.strictObject({
  /** Of the devices that serve it or failed to, at most this share may have failed. */
  maximumUnhealthyShare: z.number().min(0).max(1).default(0.05),
  /** Nothing is concluded from fewer such devices. */
  minimumReports: z.int().min(1).max(10_000_000).default(1),
})
export type DeploymentHealth = z.infer<typeof DeploymentHealth>

/** `POST /v1/deployments`: releases a version, stage by stage. It supersedes what is still being rolled out to the same devices. */
export const CreateDeployment = z
  .strictObject({
    model: Uuid,
    version: Uuid.optional(),
    /** Alternatively: the version that this alias names now. */
    alias: Slug.optional(),
    target: DeploymentTarget.prefault({}),
    /** Growing shares; the last is everybody (1). */
    stages: z
      .array(DeploymentStage)
      .min(1)
      .max(20)
      .refine(
        stages => stages.every(({ share }, at) => share > (stages[at - 1]?.share ?? 0)) && stages.at(-1)?.share === 1,
        'shares must grow from stage to stage, and the last must be 1',
      )
      .prefault([
        { share: 0.1, holdSeconds: 600 },
        { share: 1, holdSeconds: 600 },
      ]),
    health: DeploymentHealth.prefault({}),
    /** Whether an unhealthy deployment is rolled back by itself; otherwise it stays in its stage. */
    automaticRollBack: z.boolean().default(true),
    /** Have each device fit the version to its own data, where its owner allows that; absent: they serve it as it is. */
    personalise: Personalise.optional(),
  })
  .refine(({ version, alias }) => (version === undefined) !== (alias === undefined), 'name a version or an alias')
export type CreateDeployment = z.infer<typeof CreateDeployment>

export const DeploymentState = z.enum(['rolling-out', 'paused', 'released', 'rolled-back', 'superseded'])
export type DeploymentState = z.infer<typeof DeploymentState>

export const DeploymentView = z.object({
  id: Uuid,
  model: Uuid,
  modelName: z.string(),
  version: Uuid,
  versionNumber: z.int().nonnegative(),
  state: DeploymentState,
  /** Why it was rolled back or superseded. */
  reason: z.object({ code: z.string(), detail: z.string() }).nullable(),
  revision: z.int().positive(),
  target: DeploymentTarget,
  stages: z.array(DeploymentStage),
  /** Place in `stages`, from 0. */
  stage: z.int().nonnegative(),
  /** Of the fitting devices now; 0 once it is over. */
  share: z.number().min(0).max(1),
  /** When the stage has lasted long enough; null while it does not run. */
  stageDueAt: Timestamp.nullable(),
  health: DeploymentHealth,
  automaticRollBack: z.boolean(),
  personalise: Personalise.optional(),
  /** The released deployment of the model that was there before; devices go back to it. */
  previous: Uuid.nullable(),
  supersededBy: Uuid.nullable(),
  createdAt: Timestamp,
  createdBy: z.string(),
  changedAt: Timestamp,
})
export type DeploymentView = z.infer<typeof DeploymentView>

/** Devices by what they said last of the current revision. */
export const DeploymentCounts = z.object({
  pulling: z.int().nonnegative(),
  serving: z.int().nonnegative(),
  unhealthy: z.int().nonnegative(),
  /** By the policy of the owner: not counted as unhealthy. */
  refused: z.int().nonnegative(),
  rolledBack: z.int().nonnegative(),
  /** Their last word is about an earlier revision, so it does not count. */
  outdated: z.int().nonnegative(),
})
export type DeploymentCounts = z.infer<typeof DeploymentCounts>

export const DeploymentChange = z.object({
  action: z.enum(['created', 'advanced', 'paused', 'resumed', 'released', 'rolled-back', 'superseded', 'restored']),
  stage: z.int().nonnegative(),
  share: z.number().min(0).max(1),
  revision: z.int().positive(),
  reason: z.object({ code: z.string(), detail: z.string() }).nullable(),
  changedAt: Timestamp,
  changedBy: z.string(),
})
export type DeploymentChange = z.infer<typeof DeploymentChange>

/** `GET /v1/deployments/{deployment}`. */
export const DeploymentDetail = DeploymentView.extend({
  /** Devices that fit the target, whether they are in the share or not. */
  fitting: z.int().nonnegative(),
  counts: DeploymentCounts,
  regions: z.array(DeploymentCounts.extend({ region: Slug })),
  /** Devices by how fine-tuning came out, as they say of the current revision; absent where nobody asked for it. */
  personalised: z.record(Personalised.shape.outcome, z.int().nonnegative()).optional(),
  /** Newest first; the last hundred. */
  history: z.array(DeploymentChange).max(100),
})
export type DeploymentDetail = z.infer<typeof DeploymentDetail>

export const DeploymentDevice = z.object({
  device: Uuid,
  label: z.string(),
  region: Slug,
  state: DeploymentReport.shape.state,
  revision: z.int().positive(),
  /** About an earlier revision: does not count. */
  outdated: z.boolean(),
  detail: z.string().nullable(),
  personalised: Personalised.optional(),
  reportedAt: Timestamp,
})
export type DeploymentDevice = z.infer<typeof DeploymentDevice>
