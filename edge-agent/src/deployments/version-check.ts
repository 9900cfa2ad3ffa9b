import type { DeploymentOffer } from './deployment-offer.ts'

/** The border to whatever runs versions: it says whether one may come into service. */
export type VersionCheck = {
  /**
   * Loads a version, whose files are whole and fit each other, and runs the samples of this device.
   * @param fileOf path of one of its files
   * @throws ModelError and its kin where the version must not come into service; anything else where another try may do
   */
  check(
    offer: DeploymentOffer,
    fileOf: (file: DeploymentOffer['weights']) => string,
    signal: AbortSignal,
  ): Promise<void>
}
