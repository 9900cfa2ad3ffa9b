import { loadBundle } from '../agent/model-bundle.ts'
import { ModelError } from '../agent/work.ts'
import type { ObjectCache } from '../state/object-cache.ts'
import type { Trainer } from '../training/trainer.ts'
import type { Endpoints } from '../transport/endpoints.ts'
import { pullObject } from '../transport/pull-object.ts'
import type { DeploymentOffer } from './deployment-offer.ts'

/**
 * Pulls the files of a version, going on where an earlier pull stopped, and checks that they fit each other, that the runtime loads the
 * graph with its weights, and that a sample input gives finite numbers.
 * @param latest the newest offer of the same deployment, for its token
 * @throws ModelError and its kin where the version cannot be served, CallError
 */
export const prepareDeployment = async (
  { objects, endpoints, trainer }: { objects: ObjectCache; endpoints: Endpoints; trainer: Pick<Trainer, 'check'> },
  offer: DeploymentOffer,
  latest: () => DeploymentOffer,
  signal: AbortSignal,
): Promise<void> => {
  const client = endpoints.client()
  const { graph, flat } = await loadBundle(offer, info => pullObject(objects, client, latest().token, info, signal))
  if (!(await trainer.check({ graph, weights: flat }, { signal }))) {
    throw new ModelError('The model gives numbers that are not finite for a sample input.')
  }
}
