import type { Deployment } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { Uuid } from '@tributary/contracts/ids'
import * as z from 'zod'
import { modelFilesOf, WorkError } from '../agent/job/work.ts'
import { readWish, type Wish } from './personal/wish.ts'

const offerOf = (maxModelBytes: number) => {
  const { token, weights, manifest, graph } = modelFilesOf(maxModelBytes)
  return z.object({
    deployment: Uuid,
    revision: z.int().positive(),
    model: Uuid,
    modelName: z.string().max(200),
    version: Uuid,
    versionNumber: z.int().nonnegative(),
    groups: z.array(z.string().max(64)).max(64),
    token,
    weights,
    manifest,
    graph: graph.unwrap(),
    /** That made the version; empty for one that was uploaded, and from older nodes. */
    task: z
      .union([Uuid, z.literal('')])
      .transform(task => (task === '' ? undefined : task))
      .optional(),
  })
}

/** A version that this device should serve, as the node says at every check-in. */
export type DeploymentOffer = z.infer<ReturnType<typeof offerOf>> & {
  /** What it asks to be fitted with. */
  readonly personalise?: Wish | undefined
}

/** Checks what came. @param maxModelBytes largest object accepted. Throws WorkError that lists what is wrong. */
export const readOffer = (message: Deployment, maxModelBytes: number): DeploymentOffer => {
  const parsed = offerOf(maxModelBytes).safeParse(message)
  const { personalise } = message
  if (parsed.success) return { ...parsed.data, ...(personalise && { personalise: readWish(personalise) }) }
  throw new WorkError(
    `The node deploys what this agent does not take:\n${z.prettifyError(parsed.error).slice(0, 2000)}`,
  )
}
