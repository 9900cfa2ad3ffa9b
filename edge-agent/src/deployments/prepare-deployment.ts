import { loadBundle } from '../agent/job/model-bundle.ts'
import type { ObjectCache } from '../state/object-cache.ts'
import type { Endpoints } from '../transport/endpoints.ts'
import { pullObject } from '../transport/pull-object.ts'
import type { DeploymentOffer } from './deployment-offer.ts'
import type { VersionCheck } from './version-check.ts'

type Context = {
  readonly objects: ObjectCache
  readonly endpoints: Endpoints
  readonly versions: VersionCheck
  readonly fileOf: (file: DeploymentOffer['weights']) => string
}

/**
 * Pulls the files of a version, going on where an earlier pull stopped, and checks that they fit each other, that the runtime loads the
 * graph with its weights, and that the samples of this device come out well.
 * @param latest the newest offer of the same deployment, for its token
 * @throws ModelError and its kin where the version cannot be served, CallError
 */
export const prepareDeployment = async (
  { objects, endpoints, versions, fileOf }: Context,
  offer: DeploymentOffer,
  latest: () => DeploymentOffer,
  signal: AbortSignal,
): Promise<void> => {
  const client = endpoints.client()
  await loadBundle(offer, info => pullObject(objects, client, latest().token, info, signal))
  await versions.check(offer, fileOf, signal)
}
