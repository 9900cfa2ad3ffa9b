import type { DeployedModel } from '../deployments/deployed-model.ts'
import type { ServedVersion } from './served-version.ts'

/** A model as it is asked for. */
export type ServedModel = { readonly deployed: DeployedModel; readonly version: ServedVersion }
