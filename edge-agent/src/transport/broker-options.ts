import type { IClientOptions } from 'mqtt'
import type { Identity } from './identity.ts'

/** Where the broker is, and as what it is asked for on the port of the web. */
export type BrokerAddress = { readonly host: string; readonly port: number; readonly alpn: string }

/** @param url mqtts://host[:port] */
export const brokerAddress = (url: string, alpn: string): BrokerAddress => {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port || 8883), alpn }
}

/** How a device connects to the broker: as itself, over mTLS; on port 443 the broker is told from a web server by ALPN. */
export const brokerOptions = (
  { host, port, alpn }: BrokerAddress,
  { device, authority, certificate, key }: Identity,
  connectMillis: number,
): IClientOptions => ({
  protocol: 'mqtts',
  host,
  port,
  ...(port === 443 ? { ALPNProtocols: [alpn] } : {}),
  clientId: device,
  protocolVersion: 4,
  clean: true,
  connectTimeout: connectMillis,
  reconnectPeriod: 0,
  queueQoSZero: false,
  ca: authority,
  cert: certificate,
  key,
  rejectUnauthorized: true,
})
