import type { Context } from '../context.ts'
import type { Handlers } from '../http/handler.ts'
import type { CertificateAuthority } from './certificate-authority.ts'
import { createRegion } from './create-region.ts'
import { getDevice } from './get-device.ts'
import { listDevices } from './list-devices.ts'
import { listNodes } from './list-nodes.ts'
import { listRegions } from './list-regions.ts'
import { registerDevice } from './register-device.ts'
import { registerNode } from './register-node.ts'
import { revokeDevice } from './revoke-device.ts'
import { revokeNode } from './revoke-node.ts'

type Parts = Pick<Context, 'database' | 'audit' | 'ids' | 'outbox'> & { readonly authority: CertificateAuthority }

export const fleetHandlers = (parts: Parts): Handlers<'fleet'> => ({
  createRegion: createRegion(parts),
  listRegions: listRegions(parts),
  registerNode: registerNode(parts),
  listNodes: listNodes(parts),
  revokeNode: revokeNode(parts),
  registerDevice: registerDevice(parts),
  listDevices: listDevices(parts),
  getDevice: getDevice(parts),
  revokeDevice: revokeDevice(parts),
})
