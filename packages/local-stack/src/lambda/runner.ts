import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { FunctionSpec } from '@tributary/contracts/functions'
import { startWatchdog } from '../processes/watchdog.ts'
import type { AwsCredentials } from '../services/aws-signature/verify-signature.ts'
import { AsyncInvocations } from './async-invocations.ts'
import { FunctionLog } from './function-log.ts'
import { FunctionPool } from './function-pool.ts'
import { startHttpApi } from './http-api.ts'
import { startInvokeApi } from './invoke-api.ts'
import type { ListenAddress } from './listen.ts'
import { MetricStore } from './metric-store.ts'
import { QueueSource } from './queue-source.ts'
import { seededRandom } from './random.ts'
import { startRuntimeApi } from './runtime-api.ts'
import { startSchedule } from './schedule.ts'

export interface LambdaRunnerOptions {
  readonly specs: readonly FunctionSpec[]
  /** Holds `<name>/index.mjs` of each function. */
  readonly bundlesFolder: string
  readonly logFolder: string
  /** Emptied at the start: temporary folders of instances. */
  readonly temporaryFolder: string
  readonly apiListen: ListenAddress
  readonly invokeListen: ListenAddress
  readonly region: string
  /** Whose signature the Invoke API takes. */
  readonly credentials: AwsCredentials
  /** Environment variables of a function: what a deployment would configure. */
  readonly environmentOf: (name: string) => Readonly<Record<string, string>>
  /** Broker of the functions with a queue trigger. */
  readonly amqpUrl: string
  readonly disposalSeed: number
  readonly disposalMeanIdleSeconds: number
  /** Chance from 0 to 1. */
  readonly disposalAfterInvocation: number
  readonly asyncRetrySeconds: readonly number[]
  readonly maxWaiting: number
  readonly waitSeconds: number
  readonly initSeconds: number
  /** Names of functions that get one instance ahead of the first invocation. */
  readonly prewarm: readonly string[]
  readonly onTrouble: (message: string) => void
}

/** The local Lambda service while it runs; disposing it ends every instance. */
export interface LambdaRunner extends AsyncDisposable {
  readonly apiPort: number
  readonly invokePort: number
  /** Resolves when the event sources consume. */
  readonly ready: Promise<void>
}

const maxEvents = 1000
const drainSeconds = 3

/**
 * Runs functions as Lambda does: bundles as they are deployed, each instance a process with its own environment, one invocation at a
 * time, frozen in between and thrown away at random; behind an HTTP API, the Invoke API, a RabbitMQ event source and schedules.
 *
 * @throws NodeJS.ErrnoException when a port is taken.
 */
export async function startLambdaRunner(options: LambdaRunnerOptions): Promise<LambdaRunner> {
  const { specs, region, onTrouble } = options
  await using starting = new AsyncDisposableStack()
  rmSync(options.temporaryFolder, { recursive: true, force: true })
  mkdirSync(options.temporaryFolder, { recursive: true, mode: 0o700 })
  mkdirSync(options.logFolder, { recursive: true, mode: 0o700 })

  const watchdog = starting.use(await startWatchdog())
  const runtimeApi = starting.use(await startRuntimeApi())
  const random = seededRandom(options.disposalSeed)
  const metrics = new MetricStore()
  const pools = new Map<string, FunctionPool>()
  for (const spec of specs) {
    const log = starting.adopt(new FunctionLog(join(options.logFolder, `${spec.name}.log`), metrics), log =>
      log.close(),
    )
    const pool = new FunctionPool({
      spec,
      taskRoot: join(options.bundlesFolder, spec.name),
      environment: options.environmentOf(spec.name),
      region,
      instancesFolder: options.temporaryFolder,
      initSeconds: options.initSeconds,
      maxWaiting: options.maxWaiting,
      waitSeconds: options.waitSeconds,
      disposal: {
        random,
        meanIdleSeconds: options.disposalMeanIdleSeconds,
        afterInvocation: options.disposalAfterInvocation,
      },
      runtimeApi,
      watchdog,
      log,
      onTrouble,
    })
    pools.set(spec.name, starting.use(pool))
  }
  const events = new AsyncInvocations({
    maxEvents,
    retrySeconds: options.asyncRetrySeconds,
    onDiscarded: (name, message) => onTrouble(`${name}: ${message}`),
  })
  const sources = new AsyncDisposableStack()
  const consuming: Promise<void>[] = []
  let isReady = false
  // Nothing new comes in, what runs gets a moment, then the instances are killed.
  starting.defer(async () => {
    const ending = [sources.disposeAsync(), events[Symbol.asyncDispose]()]
    await Promise.all([...pools.values()].map(pool => pool.drained(drainSeconds)))
    await Promise.all([...pools.values()].map(pool => pool[Symbol.asyncDispose]()))
    await Promise.all(ending)
  })

  for (const name of options.prewarm) pools.get(name)?.prewarm()
  const invokeApi = sources.use(
    await startInvokeApi(options.invokeListen, {
      pools,
      events,
      credentials: options.credentials,
      isReady: () => isReady,
    }),
  )
  const httpApi = sources.use(await startHttpApi(options.apiListen, pools, onTrouble, metrics))
  for (const { name, trigger } of specs) {
    const pool = pools.get(name)
    if (!pool) continue
    if (trigger.kind === 'schedule') sources.use(startSchedule(pool, trigger.everySeconds, events, region))
    if (trigger.kind === 'queue') {
      const { batchSize } = trigger
      const queueSource = new QueueSource({ amqpUrl: options.amqpUrl, pool, batchSize, region, onTrouble })
      consuming.push(sources.use(queueSource).connected)
    }
  }

  const ready = Promise.all(consuming).then(() => {
    isReady = true
  })
  const running = starting.move()
  return {
    apiPort: httpApi.port,
    invokePort: invokeApi.port,
    ready,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
