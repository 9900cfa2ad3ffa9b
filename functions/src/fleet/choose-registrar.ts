import { IotBrokerRegistrar } from '../adapters/iot-broker-registrar.ts'
import type { ConfigOf } from '../config.ts'
import { type BrokerRegistrar, noRegistrar } from './broker-registrar.ts'

/** IoT Core where its policies are named, else a broker that trusts the authority. */
export const chooseRegistrar = (iot: ConfigOf<'iot'>['iot'], authorityPem: string): BrokerRegistrar => {
  const { IOT_DEVICE_POLICY: device, IOT_NODE_POLICY: node, IOT_AUTHORITY_REGISTERED: isRegistered } = iot
  if (device === undefined || node === undefined) return noRegistrar
  const policies = { device, 'regional-node': node }
  return new IotBrokerRegistrar({ policies, authorityPem: isRegistered ? authorityPem : undefined })
}
