import * as z from 'zod'

const port = z.coerce.number().int().min(1).max(65_535)

const MqttBrokerConfig = z.object({
  MQTT_HOST: z.string().default('127.0.0.1'),
  /** MQTT over TLS. */
  MQTT_PORT: port,
  /** MQTT over WebSocket over TLS, path `/mqtt`. */
  MQTT_WEBSOCKET_PORT: port,
  /** PEM of the authority whose client certificates are let in. */
  MQTT_CA_FILE: z.string(),
  MQTT_CERTIFICATE_FILE: z.string(),
  MQTT_KEY_FILE: z.string(),
  /** Fingerprints of revoked client certificates, one a line. */
  MQTT_REVOKED_FILE: z.string(),
  MQTT_MAX_CONNECTIONS: z.coerce.number().int().min(1).default(5000),
})
export type MqttBrokerConfig = z.infer<typeof MqttBrokerConfig>

/** @throws z.ZodError that lists every fault */
export function readConfig(env: NodeJS.ProcessEnv = process.env): MqttBrokerConfig {
  return MqttBrokerConfig.parse(env)
}
