import type { Watchdog } from '../processes/watchdog.ts'
import { BusyPortsError, findBusyPorts, servicesElsewhere } from '../settings/busy-ports.ts'
import type { StackEnvironment } from '../settings/config.ts'
import type { StackFolders } from '../settings/folders.ts'
import type { StackPorts } from '../settings/ports.ts'
import { type CertificateAuthority, openCertificateAuthority } from './certificate-authority.ts'
import { type Credentials, readOrCreateCredentials } from './credentials.ts'
import { type IotDataService, startIotData } from './iot-data/iot-data.ts'
import { type MqttService, startMqtt } from './mqtt/mqtt.ts'
import { type ObjectStorageService, startObjectStorage } from './object-storage/object-storage.ts'
import { type PostgresService, startPostgres } from './postgres.ts'
import type { RabbitService } from './rabbitmq/rabbit-service.ts'
import { startRabbit } from './rabbitmq/rabbitmq.ts'
import { startRedis } from './redis/redis.ts'
import type { RedisService } from './redis/redis-service.ts'
import type { RunningService } from './running-service.ts'
import type { ServiceContext } from './service-context.ts'
import type { Report } from './service-report.ts'
import { startUpstashRest, type UpstashRestService } from './upstash-rest/upstash-rest.ts'

export interface StartServicesOptions {
  readonly ports: StackPorts
  readonly folders: StackFolders
  readonly environment: StackEnvironment
  readonly watchdog: Watchdog
  /** Buckets that are there from the start. @default ['tributary'] */
  readonly buckets?: readonly string[]
  readonly report: Report
  /** Aborting stops a start that is under way. */
  readonly signal: AbortSignal
}

/** Everything that Tributary's own parts need from outside; disposing it stops what was started here, fronts first. */
export interface BackingServices extends AsyncDisposable {
  readonly postgres: PostgresService
  readonly rabbit: RabbitService
  readonly redis: RedisService
  readonly upstashRest: UpstashRestService
  readonly objectStorage: ObjectStorageService
  readonly mqtt: MqttService
  readonly iotData: IotDataService
  readonly certificates: CertificateAuthority
  readonly credentials: Credentials
  /** For the AWS SDKs: region and keys that object storage, IoT data plane and Lambda endpoint take. */
  readonly aws: { readonly region: string; readonly accessKeyId: string; readonly secretAccessKey: string }
}

/**
 * Starts every backing service at the same time and reports the seconds each took. When one fails, the others are stopped.
 *
 * @throws BusyPortsError for any port of the stack, NoBrokerError, ProcessStartError, or what else the first failing service threw
 */
export async function startBackingServices(options: StartServicesOptions): Promise<BackingServices> {
  const { buckets = ['tributary'], ...given } = options
  const busy = await findBusyPorts(given.ports, servicesElsewhere(given.environment))
  if (busy.length > 0) throw new BusyPortsError(busy)
  const failing = new AbortController()
  const context: ServiceContext = {
    ...given,
    credentials: await readOrCreateCredentials(given.folders.state),
    signal: AbortSignal.any([given.signal, failing.signal]),
  }
  const certificates = await openCertificateAuthority(given.folders.state)
  const run = async <Service extends RunningService>(start: () => Promise<Service>): Promise<Service> => {
    const begun = performance.now()
    const service = await start()
    const seconds = (performance.now() - begun) / 1000
    context.report({ kind: 'started', service: service.name, seconds, detail: service.detail })
    return service
  }
  const redis = run(() => startRedis(context))
  const mqtt = run(() => startMqtt(certificates, context))
  const starts = {
    postgres: run(() => startPostgres(context)),
    rabbit: run(() => startRabbit(context)),
    redis,
    upstashRest: redis.then(running => run(() => startUpstashRest(running, context))),
    objectStorage: run(() => startObjectStorage(buckets, context)),
    mqtt,
    iotData: mqtt.then(running => run(() => startIotData(certificates, running, context))),
  }
  try {
    await Promise.all(Object.values(starts))
  } catch (error) {
    // What still starts is interrupted, and what runs is stopped before the fault is told.
    failing.abort(error)
    await stopInOrder(await Promise.all(Object.values(starts).map(start => start.catch(() => undefined))))
    throw error
  }
  const { accessKeyId, secretAccessKey } = {
    accessKeyId: context.credentials.awsAccessKeyId,
    secretAccessKey: context.credentials.awsSecretAccessKey,
  }
  const services = {
    postgres: await starts.postgres,
    rabbit: await starts.rabbit,
    redis: await starts.redis,
    upstashRest: await starts.upstashRest,
    objectStorage: await starts.objectStorage,
    mqtt: await starts.mqtt,
    iotData: await starts.iotData,
  }
  return {
    ...services,
    certificates,
    credentials: context.credentials,
    aws: { region: 'local', accessKeyId, secretAccessKey },
    [Symbol.asyncDispose]: () => stopInOrder(Object.values(services)),
  }
}

/** The fronts before what they stand on; otherwise all at the same time, for RabbitMQ takes seconds. */
async function stopInOrder(services: readonly (RunningService | undefined)[]): Promise<void> {
  const running = services.filter(service => service !== undefined)
  const fronts = new Set(['Upstash REST', 'IoT data plane'])
  for (const group of [
    running.filter(({ name }) => fronts.has(name)),
    running.filter(({ name }) => !fronts.has(name)),
  ]) {
    await Promise.all(group.map(service => service[Symbol.asyncDispose]()))
  }
}
