import type { CertificateAuthority } from '../certificate-authority.ts'
import { spawnNodeEntry } from '../node-entry.ts'
import type { RunningService } from '../running-service.ts'
import type { ServiceContext } from '../service-context.ts'

export interface MqttService extends RunningService {
  /** `mqtts://localhost:port`; a client certificate of the stack's authority is required. */
  readonly url: string
  /** `wss://localhost:port/mqtt`, the same. */
  readonly webSocketUrl: string
}

/** Starts the MQTT broker process. */
export async function startMqtt(authority: CertificateAuthority, context: ServiceContext): Promise<MqttService> {
  const { ports } = context
  const server = await authority.serverCertificate('mqtt')
  const owned = await spawnNodeEntry(
    {
      name: 'MQTT',
      entry: new URL('./mqtt.main.ts', import.meta.url),
      env: {
        MQTT_PORT: String(ports.mqtt),
        MQTT_WEBSOCKET_PORT: String(ports.mqttWebSocket),
        MQTT_CA_FILE: authority.certificateFile,
        MQTT_CERTIFICATE_FILE: server.certificateFile,
        MQTT_KEY_FILE: server.keyFile,
        MQTT_REVOKED_FILE: authority.revokedFile,
      },
      ready: { line: /^listening$/ },
      logName: 'mqtt',
    },
    context,
  )
  return {
    name: 'MQTT',
    detail: 'aedes, client certificates required',
    url: `mqtts://localhost:${ports.mqtt}`,
    webSocketUrl: `wss://localhost:${ports.mqttWebSocket}/mqtt`,
    processIds: () => (owned.pid === undefined ? [] : [owned.pid]),
    [Symbol.asyncDispose]: () => owned.stop(),
  }
}
