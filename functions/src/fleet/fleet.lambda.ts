import { IotDeviceLine } from '../adapters/iot-device-line.ts'
import { readConfig } from '../config.ts'
import { httpFunction } from '../http/http-function.ts'
import { fileCertificateAuthority } from './certificate-authority.ts'
import { chooseRegistrar } from './choose-registrar.ts'
import { fleetHandlers } from './fleet-handlers.ts'

export const handler = httpFunction('fleet', context => {
  const config = readConfig(['authority', 'authorityKey', 'devices', 'iot'])
  const authority = fileCertificateAuthority(config, context.clock)
  return fleetHandlers({
    ...context,
    authority,
    registrar: chooseRegistrar(config.iot, authority.certificatePem),
    line: new IotDeviceLine(),
    mqttUrl: config.devices.DEVICE_MQTT_URL ?? null,
  })
})
