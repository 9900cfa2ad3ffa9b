import * as z from 'zod'
import { DeploymentDescriptor } from './deployments.ts'
import { AttemptRef, Uuid } from './ids.ts'
import { AttemptOutcome, EvaluationDescriptor, RoundDescriptor } from './round.ts'

/** Commands from central to a region (exchange `tributary.commands`). A command is an edge; `status` is the level. */
export const regionCommands = {
  'round.opened': RoundDescriptor,
  'round.settled': AttemptRef.extend({ outcome: AttemptOutcome, reason: z.string().optional() }),
  'evaluation.opened': EvaluationDescriptor,
  'task.paused': z.object({ task: Uuid }),
  'task.resumed': z.object({ task: Uuid }),
  'task.cancelled': z.object({ task: Uuid }),
  'task.finished': z.object({ task: Uuid, state: z.enum(['completed', 'failed']) }),
  'device.revoked': z.object({ device: Uuid }),
  'model.released': DeploymentDescriptor,
} as const
export type RegionCommands = typeof regionCommands
