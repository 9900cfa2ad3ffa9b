import { homedir } from 'node:os'
import * as z from 'zod'

const absolute = z.string().startsWith('/', 'must be an absolute path')

/** What the stack reads from the environment of whoever starts it. Each of the first three moves a service elsewhere. */
const StackEnvironmentSchema = z.object({
  /** Address of a RabbitMQ that is already there, with user and password: `amqp://user:password@127.0.0.1:5672`. */
  TRIBUTARY_AMQP_URL: z.url({ protocol: /^amqps?$/ }).optional(),
  /** Its management address, if it has one: `http://127.0.0.1:15672`. */
  TRIBUTARY_AMQP_MANAGEMENT_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** Address of a Redis that is already there: `redis://127.0.0.1:6379`. */
  TRIBUTARY_REDIS_URL: z.url({ protocol: /^rediss?$/ }).optional(),
  /** Folder for unpacked binaries, instead of the one of the user. */
  TRIBUTARY_CACHE_DIR: absolute.optional(),
  /** Folder for the state of all stacks, instead of the one of the user. */
  TRIBUTARY_STATE_DIR: absolute.optional(),
  XDG_CACHE_HOME: absolute.optional().catch(undefined),
  XDG_STATE_HOME: absolute.optional().catch(undefined),
  HOME: absolute.optional().catch(undefined),
  PATH: z.string().default('/usr/local/bin:/usr/bin:/bin'),
})

export interface StackEnvironment {
  readonly amqpUrl: string | undefined
  readonly amqpManagementUrl: string | undefined
  readonly redisUrl: string | undefined
  readonly cacheDir: string | undefined
  readonly stateDir: string | undefined
  readonly xdgCacheHome: string | undefined
  readonly xdgStateHome: string | undefined
  readonly home: string
  readonly path: string
  readonly uid: number
  readonly gid: number
}

/** @throws z.ZodError that lists every fault at once */
export function readStackEnvironment(env: NodeJS.ProcessEnv = process.env): StackEnvironment {
  const set = StackEnvironmentSchema.parse(env)
  return {
    amqpUrl: set.TRIBUTARY_AMQP_URL,
    amqpManagementUrl: set.TRIBUTARY_AMQP_MANAGEMENT_URL,
    redisUrl: set.TRIBUTARY_REDIS_URL,
    cacheDir: set.TRIBUTARY_CACHE_DIR,
    stateDir: set.TRIBUTARY_STATE_DIR,
    xdgCacheHome: set.XDG_CACHE_HOME,
    xdgStateHome: set.XDG_STATE_HOME,
    home: set.HOME ?? homedir(),
    path: set.PATH,
    uid: process.getuid?.() ?? -1,
    gid: process.getgid?.() ?? -1,
  }
}
