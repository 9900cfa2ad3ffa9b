import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import * as z from 'zod'
import { type ArmedFailpoint, failpoints, parseFailpoint } from './log/failpoint.ts'

/** host:port, IPv6 hosts in brackets. */
const HostPort = z.string().transform((text, context) => {
  const match = /^(\[[0-9a-f:]+\]|[^:[\]\s]+):(\d{1,5})$/i.exec(text)
  const port = Number(match?.[2])
  if (match?.[1] === undefined || port > 65_535) {
    context.addIssue({ code: 'custom', message: 'must be host:port' })
    return z.NEVER
  }
  return { host: match[1].replace(/^\[|\]$/g, ''), port, text }
})
export type HostPort = z.infer<typeof HostPort>

const bytes = (byDefault: number) => z.coerce.number().int().positive().default(byDefault)
const MiB = 1024 * 1024

const Environment = z.object({
  NODE_CERT_FILE: z.string().min(1),
  NODE_KEY_FILE: z.string().min(1),
  AUTHORITY_CERT_FILE: z.string().min(1),
  CENTRAL_URL: z.url({ protocol: /^https?$/ }),
  AMQP_URL: z.url({ protocol: /^amqps?$/ }),
  MQTT_URL: z.url({ protocol: /^(mqtts?|wss?)$/ }),
  BUCKET: z.string().min(1),
  OBJECT_STORAGE_PATH_STYLE: z.stringbool().default(false),
  GRPC_LISTEN: HostPort,
  /** Where devices reach the gRPC server; by default where it listens. */
  GRPC_ENDPOINT: HostPort.optional(),
  HTTP_LISTEN: HostPort,
  DATA_DIR: z.string().min(1),
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  /** Most bytes of cached models. */
  CACHE_BYTES: bytes(8192 * MiB),
  /** Most bytes of logs and of spooled updates, over all attempts. */
  SPOOL_BYTES: bytes(16_384 * MiB),
  /** From so many updates, or bytes of them, on that lie in the spool of an attempt, they are put into a sum file and dropped. */
  FOLD_UPDATES: z.coerce.number().int().min(1).max(65_536).default(256),
  FOLD_BYTES: bytes(1024 * MiB),
  /** Most bytes of sums in memory, over all attempts; sums that find no room are files, worked on by slices. */
  ACCUMULATOR_MEMORY_BYTES: bytes(128 * MiB).pipe(z.int().max(3072 * MiB)),
  /** Threads that check updates and sum them; by default as many as there are cores. */
  UPDATE_THREADS: z.coerce.number().int().min(1).max(256).optional(),
  /** Kept free on the disk for logs and sums: an update is refused before they would lack room. */
  DISK_RESERVE_BYTES: bytes(64 * MiB),
  /** Named point at which the process dies, or its disk fails, the n-th time that it is passed. For the chaos kit. */
  FAILPOINT: z
    .string()
    .transform((text, context) => {
      const armed = parseFailpoint(text)
      if (armed !== null) return armed
      context.addIssue({ code: 'custom', message: `must be name, name:n or name:n:fail of ${failpoints.join(', ')}` })
      return z.NEVER
    })
    .optional(),
  /** Most bytes that uploads may declare together while they run. */
  UPLOAD_BYTES: bytes(1024 * MiB),
  /** Each takes about 1 MB of memory while it runs. */
  MAX_UPLOADS: z.coerce.number().int().min(1).max(10_000).default(64),
  /** Most connections of devices; each takes some 90 KB. */
  MAX_CONNECTIONS: z.coerce.number().int().min(1).max(1_000_000).default(16_384),
  /** Uploads and downloads that stand still for so long are cut; what is durable stays. */
  STALL_SECONDS: z.coerce.number().int().min(1).max(3600).default(30),
  /** Notices that the MQTT session carries in a second; larger sets go by the IoT data plane, where AWS sets no such limit. */
  NOTICES_BY_DATA_PLANE_ABOVE: z.coerce.number().int().min(0).default(100),
  /** How long running uploads may take to finish when the node drains. */
  DRAIN_SECONDS: z.coerce.number().min(0).max(600).default(10),
})

/** What the process is told by its environment. File contents of the certificate files are read once, here. */
export type Config = {
  readonly tls: { readonly certificate: string; readonly key: string; readonly authority: string }
  readonly centralUrl: string
  readonly amqpUrl: string
  readonly mqttUrl: string
  readonly bucket: string
  readonly pathStyle: boolean
  readonly grpcListen: HostPort
  /** host:port as devices use it; undefined: where the server listens. */
  readonly grpcEndpoint: string | undefined
  readonly httpListen: HostPort
  readonly dataDir: string
  readonly logLevel: string
  readonly cacheBytes: number
  readonly spoolBytes: number
  readonly foldUpdates: number
  readonly foldBytes: number
  readonly accumulatorMemoryBytes: number
  readonly diskReserveBytes: number
  readonly updateThreads: number
  readonly failpoint: ArmedFailpoint | undefined
  readonly uploadBytes: number
  readonly maxUploads: number
  readonly maxConnections: number
  readonly stallMillis: number
  readonly drainMillis: number
  readonly noticesByDataPlaneAbove: number
}

/**
 * Reads the environment.
 * @throws Error that lists every fault at once
 */
export const readConfig = (environment: NodeJS.ProcessEnv = process.env): Config => {
  const parsed = Environment.safeParse(environment)
  if (!parsed.success) throw new Error(`The environment is not right:\n${z.prettifyError(parsed.error)}`)
  const env = parsed.data
  const faults: string[] = []
  const read = (variable: 'NODE_CERT_FILE' | 'NODE_KEY_FILE' | 'AUTHORITY_CERT_FILE'): string => {
    try {
      return readFileSync(env[variable], 'utf8')
    } catch (error) {
      faults.push(`${variable}: ${(error as Error).message}`)
      return ''
    }
  }
  const tls = {
    certificate: read('NODE_CERT_FILE'),
    key: read('NODE_KEY_FILE'),
    authority: read('AUTHORITY_CERT_FILE'),
  }
  if (faults.length > 0) throw new Error(`The environment is not right:\n${faults.join('\n')}`)
  return {
    tls,
    centralUrl: env.CENTRAL_URL.replace(/\/+$/, ''),
    amqpUrl: env.AMQP_URL,
    mqttUrl: env.MQTT_URL,
    bucket: env.BUCKET,
    pathStyle: env.OBJECT_STORAGE_PATH_STYLE,
    grpcListen: env.GRPC_LISTEN,
    grpcEndpoint: env.GRPC_ENDPOINT?.text,
    httpListen: env.HTTP_LISTEN,
    dataDir: env.DATA_DIR,
    logLevel: env.LOG_LEVEL,
    cacheBytes: env.CACHE_BYTES,
    spoolBytes: env.SPOOL_BYTES,
    foldUpdates: env.FOLD_UPDATES,
    // One attempt may not fill the spool with what it could fold.
    foldBytes: Math.min(env.FOLD_BYTES, env.SPOOL_BYTES / 4),
    accumulatorMemoryBytes: env.ACCUMULATOR_MEMORY_BYTES,
    diskReserveBytes: env.DISK_RESERVE_BYTES,
    updateThreads: env.UPDATE_THREADS ?? availableParallelism(),
    failpoint: env.FAILPOINT,
    uploadBytes: env.UPLOAD_BYTES,
    maxUploads: env.MAX_UPLOADS,
    maxConnections: env.MAX_CONNECTIONS,
    stallMillis: env.STALL_SECONDS * 1000,
    drainMillis: env.DRAIN_SECONDS * 1000,
    noticesByDataPlaneAbove: env.NOTICES_BY_DATA_PLANE_ABOVE,
  }
}
