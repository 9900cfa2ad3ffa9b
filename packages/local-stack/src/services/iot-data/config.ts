import * as z from 'zod'

const IotDataConfig = z.object({
  IOT_DATA_HOST: z.string().default('127.0.0.1'),
  IOT_DATA_PORT: z.coerce.number().int().min(1).max(65_535),
  IOT_DATA_ACCESS_KEY_ID: z.string().min(1),
  IOT_DATA_SECRET_ACCESS_KEY: z.string().min(1),
  /** The broker behind: `mqtts://localhost:1883`. */
  IOT_DATA_MQTT_URL: z.url({ protocol: /^mqtts$/ }),
  /** Name in the client certificate, and so the MQTT client id. */
  IOT_DATA_CLIENT_ID: z.string().min(1),
  IOT_DATA_CA_FILE: z.string(),
  IOT_DATA_CERTIFICATE_FILE: z.string(),
  IOT_DATA_KEY_FILE: z.string(),
})
export type IotDataConfig = z.infer<typeof IotDataConfig>

/** @throws z.ZodError that lists every fault */
export function readConfig(env: NodeJS.ProcessEnv = process.env): IotDataConfig {
  return IotDataConfig.parse(env)
}
