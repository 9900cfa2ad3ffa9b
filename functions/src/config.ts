import { roles } from '@tributary/contracts/routes/route'
import * as z from 'zod'

const text = z.string().min(1)
const flag = z.enum(['true', 'false']).transform(value => value === 'true')

/** A key of the API as configured: the token itself is nowhere, only its sha256 in hex. */
const ApiToken = z.strictObject({
  name: z.string().min(1).max(100),
  role: z.enum(roles),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})
export type ApiToken = z.infer<typeof ApiToken>

const tokensFromJson = z.string().transform((json, context) => {
  try {
    return JSON.parse(json) as unknown
  } catch {
    context.issues.push({ code: 'custom', message: 'is not JSON', input: 'hidden' })
    return z.NEVER
  }
})

/** What each part of the control plane reads from the environment; AWS_* is read by the SDK itself. */
const sections = {
  log: z.object({ LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info') }),
  database: z.object({ DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }) }),
  objectStorage: z.object({ BUCKET: text, OBJECT_STORAGE_PATH_STYLE: flag.default(false) }),
  cache: z.object({ UPSTASH_REDIS_REST_URL: z.url(), UPSTASH_REDIS_REST_TOKEN: text }),
  functions: z.object({ RELAY_FUNCTION: text, MERGE_FUNCTION: text, VERSION_JOBS_FUNCTION: text }),
  apiTokens: z.object({ API_TOKENS: tokensFromJson.pipe(z.array(ApiToken).max(1000)) }),
  authority: z.object({ AUTHORITY_CERT_FILE: text }),
  authorityKey: z.object({ AUTHORITY_KEY_FILE: text }),
  /** Both or neither: where they are named, certificates are registered with IoT Core. */
  iot: z
    .object({
      IOT_DEVICE_POLICY: text.optional(),
      IOT_NODE_POLICY: text.optional(),
      IOT_AUTHORITY_REGISTERED: flag.default(false),
    })
    .refine(iot => (iot.IOT_DEVICE_POLICY === undefined) === (iot.IOT_NODE_POLICY === undefined), {
      path: ['IOT_DEVICE_POLICY, IOT_NODE_POLICY'],
      message: 'name both or neither',
    }),
  devices: z.object({ DEVICE_MQTT_URL: z.url({ protocol: /^mqtts$/ }).optional() }),
  broker: z.object({ AMQP_URL: z.url({ protocol: /^amqps?$/ }) }),
} as const

export type ConfigSection = keyof typeof sections
export type ConfigOf<Section extends ConfigSection> = { [Name in Section]: z.infer<(typeof sections)[Name]> }

/** What every function needs. */
export const coreSections = ['log', 'database', 'objectStorage', 'cache', 'functions'] as const
export type CoreConfig = ConfigOf<(typeof coreSections)[number]>

/** The environment does not fit; the message names every fault, never a value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/**
 * Reads the named sections of the environment.
 * @throws ConfigError listing all faults at once
 */
export const readConfig = <Section extends ConfigSection>(
  names: readonly Section[],
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ConfigOf<Section> => {
  const faults: string[] = []
  const config: Partial<Record<ConfigSection, unknown>> = {}
  for (const name of new Set(names)) {
    const parsed = sections[name].safeParse(environment)
    if (parsed.success) config[name] = parsed.data
    else faults.push(...parsed.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`))
  }
  if (faults.length > 0) throw new ConfigError(`The environment of this function is incomplete:\n${faults.join('\n')}`)
  return config as ConfigOf<Section>
}
