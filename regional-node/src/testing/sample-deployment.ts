import type { DeploymentDescriptor } from '@tributary/contracts/deployments'
import { v7 as uuidv7 } from 'uuid'
import type { KnownDevice } from '../devices/device-directory.ts'
import { sha256Of } from './sample-round.ts'

/** A deployment of a version whose files are those texts; the id as of that many ms after the epoch. */
export const sampleDeployment = (fields: Partial<DeploymentDescriptor> = {}, msecs?: number): DeploymentDescriptor => ({
  deployment: uuidv7(msecs === undefined ? {} : { msecs }),
  model: '01890a5d-ac96-774b-bcce-b302099a8057',
  modelName: 'digits',
  revision: 1,
  weights: { ...objectOf('weights'), version: uuidv7(), number: 3 },
  manifest: objectOf('manifest'),
  graph: objectOf('graph'),
  target: { regions: [], groups: [], labels: {} },
  share: 1,
  ...fields,
})

export const objectOf = (name: string) => ({ objectKey: name, sha256: sha256Of(Buffer.from(name)), bytes: name.length })

export const sampleKnownDevice = (fields: Partial<KnownDevice> = {}): KnownDevice => ({
  device: uuidv7(),
  label: 'device-1',
  kind: 'trainer',
  groups: [],
  certificateSha256: 'a'.repeat(64),
  revoked: false,
  shard: 0,
  ...fields,
})
