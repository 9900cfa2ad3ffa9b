import type { MessageInitShape } from '@bufbuild/protobuf'
import type { DeploymentSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { ObjectRef } from '@tributary/contracts/ids'
import type { Personalise } from '@tributary/contracts/personalisation'
import type { KnownDevice } from '../devices/device-directory.ts'
import type { WorkTokens } from '../identity/work-tokens.ts'
import type { RegionDeployments } from './region-deployments.ts'

/** A token is good for a pull that is slow; the next check-in brings a fresh one. */
const tokenSeconds = 3600

/** Everything that a device should serve now, with tokens for its files. */
export const deploymentWork = (
  tokens: WorkTokens,
  deployments: Pick<RegionDeployments, 'of'>,
  device: KnownDevice,
  { epoch, now }: { epoch: number; now: number },
): Promise<MessageInitShape<typeof DeploymentSchema>[]> =>
  Promise.all(
    deployments
      .of(device)
      .map(async ({ deployment, revision, model, modelName, weights, manifest, graph, target, task, personalise }) => ({
        deployment,
        revision,
        model,
        modelName,
        version: weights.version,
        versionNumber: weights.number,
        token: await tokens.mint({
          work: 'deployment',
          deployment,
          shard: device.shard,
          epoch,
          device: device.device,
          certificateSha256: device.certificateSha256,
          objects: [weights, manifest, graph].map(({ sha256 }) => sha256),
          exp: Math.floor(now / 1000) + tokenSeconds,
        }),
        weights: objectInfo(weights),
        manifest: objectInfo(manifest),
        graph: objectInfo(graph),
        groups: [...target.groups],
        ...(task !== undefined && { task }),
        ...(personalise !== undefined && { personalise: wishOf(personalise) }),
      })),
  )

/** Absent fields are empty on the way. */
const wishOf = ({ heldOut, loss, ...wish }: Personalise) => ({ ...wish, heldOut: heldOut ?? '', loss: loss ?? '' })

const objectInfo = ({ sha256, bytes }: ObjectRef) => ({ sha256, bytes: BigInt(bytes) })
