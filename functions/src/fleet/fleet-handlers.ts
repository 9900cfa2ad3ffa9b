import type { DeviceLine } from '../adapters/device-line.ts'
import type { Context } from '../context.ts'
import type { Handlers } from '../http/handler.ts'
import type { BrokerRegistrar } from './broker-registrar.ts'
import type { CertificateAuthority } from './certificate-authority.ts'
import { createRegion } from './create-region.ts'
import { createEnrolmentCode } from './enrolment/create-code.ts'
import { enrolDevice } from './enrolment/enrol-device.ts'
import { listEnrolmentCodes } from './enrolment/list-codes.ts'
import { listEnrolments } from './enrolment/list-enrolments.ts'
import { revokeEnrolmentCode } from './enrolment/revoke-code.ts'
import { getDevice } from './get-device.ts'
import { getNode } from './get-node.ts'
import { getRegion } from './get-region.ts'
import { listDevices } from './list-devices.ts'
import { listNodes } from './list-nodes.ts'
import { listDeviceParticipations } from './list-participations.ts'
import { listRegions } from './list-regions.ts'
import { registerDevice } from './register-device.ts'
import { registerNode } from './register-node.ts'
import { renewDeviceCertificate, renewNodeCertificate } from './renew-certificate.ts'
import { revokeDevice } from './revoke-device.ts'
import { revokeNode } from './revoke-node.ts'
import { sendDeviceCommand } from './send-command.ts'
import { updateDevice } from './update-device.ts'
import { updateRegion } from './update-region.ts'

type Parts = Pick<Context, 'database' | 'audit' | 'ids' | 'outbox' | 'cache' | 'clock'> & {
  readonly authority: CertificateAuthority
  readonly registrar: BrokerRegistrar
  readonly line: DeviceLine
  /** Where devices find the broker; null where it is not configured. */
  readonly mqttUrl: string | null
}

export const fleetHandlers = (parts: Parts): Handlers<'fleet'> => ({
  createRegion: createRegion(parts),
  listRegions: listRegions(parts),
  getRegion: getRegion(parts),
  updateRegion: updateRegion(parts),
  registerNode: registerNode(parts),
  listNodes: listNodes(parts),
  getNode: getNode(parts),
  renewNodeCertificate: renewNodeCertificate(parts),
  revokeNode: revokeNode(parts),
  registerDevice: registerDevice(parts),
  listDevices: listDevices(parts),
  getDevice: getDevice(parts),
  revokeDevice: revokeDevice(parts),
  updateDevice: updateDevice(parts),
  listDeviceParticipations: listDeviceParticipations(parts),
  sendDeviceCommand: sendDeviceCommand(parts),
  enrolDevice: enrolDevice(parts),
  renewDeviceCertificate: renewDeviceCertificate(parts),
  createEnrolmentCode: createEnrolmentCode(parts),
  listEnrolmentCodes: listEnrolmentCodes(parts),
  listEnrolments: listEnrolments(parts),
  revokeEnrolmentCode: revokeEnrolmentCode(parts),
})
