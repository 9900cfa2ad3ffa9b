import { IotBrokerRegistrar } from '../adapters/iot-broker-registrar.ts'
import { IotDeviceLine } from '../adapters/iot-device-line.ts'
import { type ConfigOf, readConfig } from '../config.ts'
import { httpFunction } from '../http/http-function.ts'
import { type BrokerRegistrar, noRegistrar } from './broker-registrar.ts'
import { fileCertificateAuthority } from './certificate-authority.ts'
import { fleetHandlers } from './fleet-handlers.ts'

export const handler = httpFunction('fleet', context => {
  const config = readConfig(['authority', 'authorityKey', 'devices', 'iot'])
  const authority = fileCertificateAuthority(config, context.clock)
  return fleetHandlers({
    ...context,
    authority,
    registrar: registrarOf(config.iot, authority.certificatePem),
    line: new IotDeviceLine(),
    mqttUrl: config.devices.DEVICE_MQTT_URL ?? null,
  })
})

const registrarOf = (iot: ConfigOf<'iot'>['iot'], authorityPem: string): BrokerRegistrar => {
  const { IOT_DEVICE_POLICY: device, IOT_NODE_POLICY: node, IOT_AUTHORITY_REGISTERED: isRegistered } = iot
  if (device === undefined || node === undefined) return noRegistrar
  const policies = { device, 'regional-node': node }
  return new IotBrokerRegistrar({ policies, authorityPem: isRegistered ? authorityPem : undefined })
}
