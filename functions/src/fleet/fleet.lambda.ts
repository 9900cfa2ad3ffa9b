import { IotDeviceLine } from '../adapters/iot-device-line.ts'
import { readConfig } from '../config.ts'
import { httpFunction } from '../http/http-function.ts'
import { fileCertificateAuthority } from './certificate-authority.ts'
import { noRegistrar } from './device-registrar.ts'
import { fleetHandlers } from './fleet-handlers.ts'

export const handler = httpFunction('fleet', context => {
  const config = readConfig(['authority', 'authorityKey', 'devices'])
  return fleetHandlers({
    ...context,
    authority: fileCertificateAuthority(config, context.clock),
    registrar: noRegistrar,
    line: new IotDeviceLine(),
    mqttUrl: config.devices.DEVICE_MQTT_URL ?? null,
  })
})
