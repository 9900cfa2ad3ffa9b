import { Sha256, Uuid } from '@tributary/contracts/ids'
import * as z from 'zod'

const File = z.object({ sha256: Sha256, bytes: z.int().positive() })

/** A version that passed its check on this device: its files are here, and it gave finite numbers for a sample input. */
export const DeployedModel = z.object({
  deployment: Uuid,
  revision: z.int().positive(),
  model: Uuid,
  modelName: z.string(),
  version: Uuid,
  versionNumber: z.int().nonnegative(),
  /** Whom the deployment is for; none: every device. */
  groups: z.array(z.string()).max(64).optional(),
  /** Those that are served: of the version as it was released, or fitted to this device. */
  weights: File,
  /** Those of the version as it was released, where others are served. */
  released: File.optional(),
  manifest: File,
  graph: File,
  /** That made the version. */
  task: Uuid.optional(),
})
export type DeployedModel = z.infer<typeof DeployedModel>

export const filesOf = ({
  weights,
  manifest,
  graph,
  released = weights,
}: Pick<DeployedModel, 'weights' | 'manifest' | 'graph' | 'released'>) =>
  released === weights ? [manifest, graph, weights] : [manifest, graph, released, weights]

/** The version as it was released. */
export const releasedOf = ({ released, ...model }: DeployedModel): DeployedModel =>
  released === undefined ? model : { ...model, weights: released }
