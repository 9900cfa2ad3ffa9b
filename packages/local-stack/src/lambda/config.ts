import * as z from 'zod'
import type { ListenAddress } from './listen.ts'
import type { LambdaRunnerOptions } from './runner.ts'

const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    context.addIssue('not JSON')
    return z.NEVER
  }
})

const listenAddress = z
  .string()
  .regex(/^[^:]+:\d{1,5}$/, 'must be host:port')
  .transform((text): ListenAddress => {
    const [host = '', port] = text.split(':')
    return { host, port: Number(port) }
  })

const names = z.string().transform(text => text.split(',').flatMap(name => name.trim() || []))
const seconds = z.coerce.number().nonnegative()
const absolute = z.string().startsWith('/', 'must be an absolute path')
const variables = z.record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]*$/), z.string())

const LambdaRunnerConfig = z.object({
  BUNDLES_DIR: absolute,
  LOG_DIR: absolute,
  TEMP_DIR: absolute,
  API_LISTEN: listenAddress,
  INVOKE_LISTEN: listenAddress,
  AWS_REGION: z.string().min(1),
  AWS_ACCESS_KEY_ID: z.string().min(1),
  AWS_SECRET_ACCESS_KEY: z.string().min(1),
  AMQP_URL: z.url({ protocol: /^amqps?$/ }),
  FUNCTION_ENVIRONMENT: json.pipe(
    z.strictObject({
      /** For every function. */
      common: variables,
      /** By function name; wins over `common`. */
      functions: z.record(z.string(), variables).default({}),
    }),
  ),
  PREWARM: names.default([]),
  DISPOSAL_SEED: z.coerce.number().int().nonnegative().default(1),
  DISPOSAL_MEAN_IDLE_SECONDS: seconds.default(180),
  DISPOSAL_AFTER_INVOCATION: z.coerce.number().min(0).max(1).default(0.01),
  ASYNC_RETRY_SECONDS: names
    .transform(list => list.map(Number))
    .pipe(z.array(z.number().nonnegative()).max(2))
    .default([60, 120]),
  MAX_WAITING: z.coerce.number().int().positive().default(100),
  WAIT_SECONDS: seconds.default(10),
  INIT_SECONDS: seconds.default(30),
})

/** Lambda's limit of all variables of one function, names included, bytes. */
const maxEnvironmentBytes = 4096

/** What the environment decides about the runner. */
export type LambdaRunnerConfig = Omit<LambdaRunnerOptions, 'specs' | 'onTrouble'>

/** @throws z.ZodError that lists every fault at once; RangeError when a function's environment would not fit into Lambda. */
export function readLambdaRunnerConfig(env: NodeJS.ProcessEnv = process.env): LambdaRunnerConfig {
  const set = LambdaRunnerConfig.parse(env)
  const environments = new Map(Object.entries(set.FUNCTION_ENVIRONMENT.functions))
  const environmentOf = (name: string) => ({ ...set.FUNCTION_ENVIRONMENT.common, ...environments.get(name) })
  for (const name of ['', ...environments.keys()]) checkSize(name, environmentOf(name))
  return {
    bundlesFolder: set.BUNDLES_DIR,
    logFolder: set.LOG_DIR,
    temporaryFolder: set.TEMP_DIR,
    apiListen: set.API_LISTEN,
    invokeListen: set.INVOKE_LISTEN,
    region: set.AWS_REGION,
    credentials: { accessKeyId: set.AWS_ACCESS_KEY_ID, secretAccessKey: set.AWS_SECRET_ACCESS_KEY },
    amqpUrl: set.AMQP_URL,
    environmentOf,
    prewarm: set.PREWARM,
    disposalSeed: set.DISPOSAL_SEED,
    disposalMeanIdleSeconds: set.DISPOSAL_MEAN_IDLE_SECONDS,
    disposalAfterInvocation: set.DISPOSAL_AFTER_INVOCATION,
    asyncRetrySeconds: set.ASYNC_RETRY_SECONDS,
    maxWaiting: set.MAX_WAITING,
    waitSeconds: set.WAIT_SECONDS,
    initSeconds: set.INIT_SECONDS,
  }
}

function checkSize(name: string, environment: Readonly<Record<string, string>>): void {
  // AWS_… is set by Lambda itself and does not count.
  const counted = Object.entries(environment).filter(([key]) => !key.startsWith('AWS_'))
  const bytes = counted.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0)
  if (bytes <= maxEnvironmentBytes) return
  throw new RangeError(
    `FUNCTION_ENVIRONMENT ${name || 'common'}: ${bytes} bytes, but Lambda takes ${maxEnvironmentBytes}; move what is large elsewhere`,
  )
}
