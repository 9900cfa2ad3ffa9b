import type { CertificateAuthority } from '../certificate-authority.ts'
import type { MqttService } from '../mqtt/mqtt.ts'
import { spawnNodeEntry } from '../node-entry.ts'
import type { RunningService } from '../running-service.ts'
import type { ServiceContext } from '../service-context.ts'

export interface IotDataService extends RunningService {
  /** Endpoint for `@aws-sdk/client-iot-data-plane`. */
  readonly url: string
}

const clientId = 'iot-data-plane'

/** Starts the IoT data plane endpoint in front of the broker. */
export async function startIotData(
  authority: CertificateAuthority,
  mqtt: MqttService,
  context: ServiceContext,
): Promise<IotDataService> {
  const { credentials, ports } = context
  const certificate = await authority.clientCertificate(clientId, clientId, 'service')
  const owned = await spawnNodeEntry(
    {
      name: 'IoT data plane',
      entry: new URL('./iot-data.main.ts', import.meta.url),
      env: {
        IOT_DATA_PORT: String(ports.iotData),
        IOT_DATA_ACCESS_KEY_ID: credentials.awsAccessKeyId,
        IOT_DATA_SECRET_ACCESS_KEY: credentials.awsSecretAccessKey,
        IOT_DATA_MQTT_URL: mqtt.url,
        IOT_DATA_CLIENT_ID: clientId,
        IOT_DATA_CA_FILE: authority.certificateFile,
        IOT_DATA_CERTIFICATE_FILE: certificate.certificateFile,
        IOT_DATA_KEY_FILE: certificate.keyFile,
      },
      ready: { line: /^listening$/ },
      logName: 'iot-data',
    },
    context,
  )
  return {
    name: 'IoT data plane',
    detail: 'Publish over HTTP into MQTT',
    url: `http://127.0.0.1:${ports.iotData}`,
    processIds: () => (owned.pid === undefined ? [] : [owned.pid]),
    [Symbol.asyncDispose]: () => owned.stop(),
  }
}
