import * as z from 'zod'
import { isLoopback, readListenAddress } from './inference/http/listen-address.ts'
import type { InferenceSettings } from './inference/settings.ts'
import type { LogSettings } from './log.ts'
import { loadSettings } from './settings/load-settings.ts'

const HostPort = z.string().regex(/^[A-Za-z0-9.-]{1,253}:\d{1,5}$/, 'not host:port')
const positive = (fallback: number, most: number) => z.coerce.number().int().min(1).max(most).default(fallback)
const gibibyte = 2 ** 30

const Environment = z.object({
  AGENT_CERT_FILE: z.string().min(1),
  AGENT_KEY_FILE: z.string().min(1),
  AUTHORITY_CERT_FILE: z.string().min(1),
  NODE_ENDPOINTS: z
    .string()
    .transform(list => list.split(',').map(endpoint => endpoint.trim()))
    .pipe(z.array(HostPort).min(1).max(64)),
  MQTT_URL: z.url({
    protocol: /^mqtts$/,
    error: 'must be an mqtts:// address: devices prove themselves by certificate',
  }),
  /** By which the broker is told from a web server on port 443. @default as AWS IoT Core has it */
  MQTT_ALPN: z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/)
    .default('x-amzn-mqtt-ca'),
  /** Of central's REST API, for the renewal of the certificate. */
  CENTRAL_URL: z
    .url({ protocol: /^https?$/ })
    .transform(url => url.replace(/\/+$/, ''))
    .optional(),
  /** Whether the network costs by the byte: then the device takes no part in tasks that ask for one that does not. */
  NETWORK_METERED: z.enum(['true', 'false']).default('false'),
  DATA_DIR: z.string().min(1),
  STATE_DIR: z.string().min(1),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  /** Where the log goes beside standard output. */
  LOG_FILE: z.string().min(1).optional(),
  /** Size at which a file of the log is followed by the next, bytes. */
  LOG_FILE_BYTES: positive(10 * 2 ** 20, gibibyte),
  /** Files of the log that are kept. */
  LOG_FILES: positive(5, 100),
  /** Largest model, graph or update that is accepted or made, bytes. */
  MAX_MODEL_BYTES: positive(2 * gibibyte, 2 ** 43),
  /** Largest data set held in memory while training, bytes of features. */
  MAX_DATASET_BYTES: positive(4 * gibibyte, 2 ** 43),
  /** Converted data sets kept on disk, bytes: the examples of all of them as rows. */
  DATASET_CACHE_BYTES: positive(16 * gibibyte, 2 ** 43),
  /** Pulled objects kept on disk for the next round, bytes. */
  OBJECT_CACHE_BYTES: positive(gibibyte, 2 ** 43),
  /** Files of deployed versions that are kept on disk, bytes: those in service, and of each model the one before. */
  DEPLOYED_BYTES: positive(8 * gibibyte, 2 ** 43),
  /** This device's own values of tensors that tasks keep local, bytes on disk. */
  LOCAL_TENSORS_BYTES: positive(4 * gibibyte, 2 ** 43),
  /** The process that trains ends after so long without work. */
  TRAINER_IDLE_SECONDS: positive(15, 86_400),
  /** host:port where deployed models are served; nothing is served without it. */
  INFERENCE_LISTEN: z
    .string()
    .transform(text => readListenAddress(text))
    .refine(address => address !== undefined, 'not host:port')
    .optional(),
  /** Holds the token that whoever asks must send; needed where others than this device can ask. */
  INFERENCE_TOKEN_FILE: z.string().min(1).optional(),
  /** Largest body of a request, bytes; four of this size may be here at once. */
  INFERENCE_MAX_BODY_BYTES: positive(16 * 2 ** 20, gibibyte),
  /** Requests that are worked on at once. */
  INFERENCE_MAX_REQUESTS: positive(64, 4096),
  /** Requests that may wait for one model. */
  INFERENCE_MAX_QUEUE: positive(128, 65_536),
  /** Most rows that are joined in one run; 1 joins nothing. */
  INFERENCE_MAX_BATCH: positive(16, 1024),
  /** How long a request waits for others to join it; with 0 only those are joined that wait anyhow. */
  INFERENCE_MAX_WAIT_MILLIS: z.coerce.number().int().min(0).max(1000).default(0),
  /** From the head of a request to its answer. */
  INFERENCE_DEADLINE_SECONDS: positive(30, 3600),
  /** The process of a model ends after so long without a request. */
  INFERENCE_IDLE_SECONDS: positive(300, 86_400),
  /** Threads of one run. */
  INFERENCE_THREADS: positive(1, 256),
})

/** Rules between several of them. */
const Settings = Environment.refine(
  env => env.INFERENCE_LISTEN === undefined || isLoopback(env.INFERENCE_LISTEN.host) || env.INFERENCE_TOKEN_FILE,
  {
    path: ['INFERENCE_TOKEN_FILE'],
    error: 'is not set: whoever reaches INFERENCE_LISTEN from elsewhere needs a token',
  },
)

/** Files that hold the device's identity; the key's content stays in the transport. */
export type IdentityFiles = {
  readonly certificateFile: string
  readonly keyFile: string
  readonly authorityFile: string
}

/** Settings of one agent. */
export type AgentConfig = {
  readonly identity: IdentityFiles
  /** host:port of the nodes to contact first. */
  readonly endpoints: readonly string[]
  readonly mqttUrl: string
  readonly mqttAlpn: string
  /** Of central's REST API; without it the certificate is not renewed by the agent. */
  readonly centralUrl: string | undefined
  readonly networkMetered: boolean
  /** Holds datasets.json and the data files. */
  readonly dataDir: string
  /** Object cache and updates that are not settled yet. */
  readonly stateDir: string
  readonly log: LogSettings
  readonly maxModelBytes: number
  readonly maxDatasetBytes: number
  readonly datasetCacheBytes: number
  readonly objectCacheBytes: number
  readonly deployedBytes: number
  readonly localTensorsBytes: number
  readonly trainerIdleSeconds: number
  readonly inference: InferenceSettings
}

/** The environment is not usable. The message lists every fault, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Reads the environment. Throws ConfigError with every fault at once. */
export const readConfig = (environment: Readonly<Record<string, string | undefined>> = process.env): AgentConfig => {
  const parsed = Settings.safeParse(environment)
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message, code, input }) => {
      const missing = code === 'invalid_type' && input === undefined && environment[String(path[0])] === undefined
      return `  ${path.join('.')}: ${missing ? 'is not set' : message}`
    })
    throw new ConfigError(`The agent's environment is not usable:\n${faults.join('\n')}`)
  }
  const env = parsed.data
  return {
    identity: {
      certificateFile: env.AGENT_CERT_FILE,
      keyFile: env.AGENT_KEY_FILE,
      authorityFile: env.AUTHORITY_CERT_FILE,
    },
    endpoints: env.NODE_ENDPOINTS,
    mqttUrl: env.MQTT_URL,
    mqttAlpn: env.MQTT_ALPN,
    centralUrl: env.CENTRAL_URL,
    networkMetered: env.NETWORK_METERED === 'true',
    dataDir: env.DATA_DIR,
    stateDir: env.STATE_DIR,
    log: { level: env.LOG_LEVEL, file: env.LOG_FILE, fileBytes: env.LOG_FILE_BYTES, files: env.LOG_FILES },
    maxModelBytes: env.MAX_MODEL_BYTES,
    maxDatasetBytes: env.MAX_DATASET_BYTES,
    datasetCacheBytes: env.DATASET_CACHE_BYTES,
    objectCacheBytes: env.OBJECT_CACHE_BYTES,
    deployedBytes: env.DEPLOYED_BYTES,
    localTensorsBytes: env.LOCAL_TENSORS_BYTES,
    trainerIdleSeconds: env.TRAINER_IDLE_SECONDS,
    inference: {
      address: env.INFERENCE_LISTEN,
      tokenFile: env.INFERENCE_TOKEN_FILE,
      maxBodyBytes: env.INFERENCE_MAX_BODY_BYTES,
      maxRequests: env.INFERENCE_MAX_REQUESTS,
      maxQueue: env.INFERENCE_MAX_QUEUE,
      maxBatch: env.INFERENCE_MAX_BATCH,
      maxWaitMillis: env.INFERENCE_MAX_WAIT_MILLIS,
      deadlineSeconds: env.INFERENCE_DEADLINE_SECONDS,
      idleSeconds: env.INFERENCE_IDLE_SECONDS,
      threads: env.INFERENCE_THREADS,
    },
  }
}

/** The same, with what enrolment wrote into `agent.json` below the environment. Throws ConfigError, AgentFileError. */
export const loadConfig = async (
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<AgentConfig> => readConfig(await loadSettings(environment))
