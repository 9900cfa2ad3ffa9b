import { type ChildProcess, fork, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { amqpNames } from '@tributary/contracts/amqp'
import { regionCommands } from '@tributary/contracts/commands'
import { makeMessage, parseMessage } from '@tributary/contracts/envelope'
import { centralEvents, type ShardSummed } from '@tributary/contracts/events'
import type { DirectoryDevice } from '@tributary/contracts/node-status'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { S3ObjectStore } from '@tributary/functions/adapters/s3-object-store'
import {
  type CertificateAuthority,
  type CertificateFiles,
  openCertificateAuthority,
} from '@tributary/local-stack/services/certificate-authority'
import { startMqtt } from '@tributary/local-stack/services/mqtt/mqtt'
import { startObjectStorage } from '@tributary/local-stack/services/object-storage/object-storage'
import { startRabbit } from '@tributary/local-stack/services/rabbitmq/rabbitmq'
import { testContext } from '@tributary/local-stack/services/testing'
import { sha256Of } from '@tributary/regional-node/testing/sample-round'
import { TestCentral } from '@tributary/regional-node/testing/test-central'
import { nodeCertificate } from '@tributary/regional-node/testing/test-certificates'
import { type Channel, connect } from 'amqplib'
import { v7 as uuidv7 } from 'uuid'
import type { SimulatedDevice } from './orders.ts'

const bundle = fileURLToPath(new URL('../../regional-node/dist/main.mjs', import.meta.url))
const peerProgram = fileURLToPath(new URL('peer.main.ts', import.meta.url))
const startMillis = 60_000

/** A process with a gRPC port. */
export type ServerProcess = AsyncDisposable & { readonly pid: number; readonly port: number }
export type NodeProcess = ServerProcess & {
  /** A number that the node serves at `/metrics`. */
  readonly metric: (name: string) => Promise<number>
  readonly isHealthy: () => Promise<boolean>
}

/** A region of one shard: broker, object storage and MQTT as on one machine, central as the node's tests have it. */
export class Stage implements AsyncDisposable {
  readonly central: TestCentral
  readonly folder: string
  /** Object storage as central has it. */
  readonly objects: S3ObjectStore
  readonly #authority: CertificateAuthority
  readonly #certificate: CertificateFiles
  readonly #environment: Record<string, string>
  readonly #storage: S3Client
  readonly #channel: Channel
  readonly #owned: AsyncDisposableStack
  readonly #summed = new Map<string, PromiseWithResolvers<{ event: ShardSummed; at: number }>>()
  readonly #devices: SimulatedDevice[] = []
  #isListening = false

  private constructor(parts: {
    central: TestCentral
    folder: string
    authority: CertificateAuthority
    certificate: CertificateFiles
    environment: Record<string, string>
    storage: S3Client
    objects: S3ObjectStore
    channel: Channel
    owned: AsyncDisposableStack
  }) {
    this.central = parts.central
    this.folder = parts.folder
    this.objects = parts.objects
    this.#authority = parts.authority
    this.#certificate = parts.certificate
    this.#environment = parts.environment
    this.#storage = parts.storage
    this.#channel = parts.channel
    this.#owned = parts.owned
  }

  static async open(): Promise<Stage> {
    await using opened = new AsyncDisposableStack()
    const context = opened.use(await testContext())
    const authority = await openCertificateAuthority(context.folders.state)
    const [s3, rabbit, mqtt] = await Promise.all([
      startObjectStorage(['tributary'], context),
      startRabbit(context),
      startMqtt(authority, context),
    ])
    for (const service of [s3, rabbit, mqtt]) opened.use(service)
    const central = opened.use(await TestCentral.listen(authority.certificatePem))
    const certificate = await nodeCertificate(authority, uuidv7())
    const { awsAccessKeyId: accessKeyId, awsSecretAccessKey: secretAccessKey } = context.credentials
    const environment = {
      PATH: '/usr/bin:/bin',
      NODE_NO_WARNINGS: '1',
      // As on one machine: each thread with memory of its own would keep what it once took.
      MALLOC_ARENA_MAX: '2',
      NODE_CERT_FILE: certificate.certificateFile,
      NODE_KEY_FILE: certificate.keyFile,
      AUTHORITY_CERT_FILE: authority.certificateFile,
      CENTRAL_URL: central.url,
      AMQP_URL: rabbit.url,
      MQTT_URL: mqtt.url,
      BUCKET: 'tributary',
      OBJECT_STORAGE_PATH_STYLE: 'true',
      AWS_REGION: 'local',
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_ENDPOINT_URL_S3: s3.url,
      AWS_ENDPOINT_URL_IOT_DATA_PLANE: 'http://127.0.0.1:9',
      GRPC_LISTEN: '127.0.0.1:0',
      HTTP_LISTEN: '127.0.0.1:0',
      // A thousand devices are told of work by the session: the broker of one machine allows it.
      NOTICES_BY_DATA_PLANE_ABOVE: '100000',
    }
    const credentials = { accessKeyId, secretAccessKey }
    const storage = new S3Client({ region: 'local', endpoint: s3.url, forcePathStyle: true, credentials })
    Object.assign(process.env, {
      AWS_REGION: 'local',
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_ENDPOINT_URL_S3: s3.url,
    })
    const objects = new S3ObjectStore({ bucket: 'tributary', pathStyle: true })
    opened.defer(() => storage.destroy())
    const broker = await connect(rabbit.url)
    opened.defer(() => broker.close())
    const channel = await broker.createChannel()
    const folder = await mkdtemp('/var/tmp/tributary-bench-')
    opened.defer(() => rm(folder, { recursive: true, force: true }))
    const owned = opened.move()
    return new Stage({ central, folder, authority, certificate, environment, storage, objects, channel, owned })
  }

  /** So many devices that central knows, the same as before and new ones. */
  async devices(count: number): Promise<readonly SimulatedDevice[]> {
    while (this.#devices.length < count) {
      const ids = Array.from({ length: Math.min(64, count - this.#devices.length) }, () => uuidv7())
      this.#devices.push(...(await Promise.all(ids.map(id => this.#enrol(id)))))
    }
    return this.#devices.slice(0, count)
  }

  async #enrol(id: string): Promise<SimulatedDevice> {
    const files = await this.#authority.clientCertificate(id, id, 'device')
    const [cert, key] = await Promise.all([readFile(files.certificateFile, 'utf8'), readFile(files.keyFile, 'utf8')])
    const sequence = this.central.devices.length + 1
    const entry: DirectoryDevice = {
      device: id,
      label: `device-${sequence}`,
      kind: 'trainer',
      groups: [],
      certificateSha256: sha256Of(new X509Certificate(cert).raw),
      revoked: false,
      sequence,
    }
    this.central.devices.push(entry)
    return { id, tls: { ca: this.#authority.certificatePem, cert, key } }
  }

  /**
   * Starts the node as it is shipped, with an empty data folder, and waits until it is healthy.
   * @param options of Node, as `--cpu-prof`
   */
  async startNode(options: readonly string[] = []): Promise<NodeProcess> {
    const dataDir = await mkdtemp(join(this.folder, 'node-'))
    const child = spawn(process.execPath, ['--max-semi-space-size=4', ...options, bundle], {
      env: { ...this.#environment, DATA_DIR: dataDir },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const complaints: string[] = []
    createInterface({ input: child.stderr }).on('line', line => complaints.push(line))
    const ports = Promise.withResolvers<{ grpcPort: number; httpPort: number }>()
    createInterface({ input: child.stdout }).on('line', line => {
      if (/"level":[56]0/.test(line)) process.stderr.write(`${line}\n`)
      if (line.includes('"the node is up"')) ports.resolve(JSON.parse(line))
    })
    child.once('exit', code => ports.reject(new Error(`the node ended with ${code}: ${complaints.join('\n')}`)))
    await using opening = new AsyncDisposableStack()
    opening.defer(async () => {
      await ended(child, () => child.kill('SIGTERM'))
      await rm(dataDir, { recursive: true, force: true })
    })
    const { grpcPort, httpPort } = await ports.promise
    const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${httpPort}${path}`)
    const isHealthy = async (): Promise<boolean> => (await get('/healthz')).ok
    const metric = async (name: string): Promise<number> =>
      Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await (await get('/metrics')).text())?.[1])
    await until('the node is healthy', isHealthy)
    await this.#listen()
    const owned = opening.move()
    return {
      pid: child.pid as number,
      port: grpcPort,
      metric,
      isHealthy,
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    }
  }

  /** Starts the peer with the node's certificate. */
  async startPeer(): Promise<ServerProcess> {
    const { certificateFile, keyFile } = this.#certificate
    const child = fork(peerProgram, [certificateFile, keyFile, this.#authority.certificateFile])
    const [port] = (await once(child, 'message')) as [number]
    return {
      pid: child.pid as number,
      port,
      [Symbol.asyncDispose]: () => ended(child, () => child.disconnect()),
    }
  }

  async put(objectKey: string, body: Uint8Array): Promise<{ objectKey: string; sha256: string; bytes: number }> {
    await this.#storage.send(new PutObjectCommand({ Bucket: 'tributary', Key: objectKey, Body: body }))
    return { objectKey, sha256: sha256Of(body), bytes: body.byteLength }
  }

  /** Listens to what nodes tell central, once a node has declared the queue. */
  async #listen(): Promise<void> {
    if (this.#isListening) return
    this.#isListening = true
    await this.#channel.consume(
      amqpNames.centralEvents,
      message => {
        if (message === null) return
        const at = performance.now()
        const parsed = parseMessage(centralEvents, message.content)
        if (!parsed.ok || parsed.message.type !== 'shard.summed') return
        const event = parsed.message.data as ShardSummed
        this.#summed.get(event.task)?.resolve({ event, at })
      },
      { noAck: true },
    )
  }

  /** Opens an attempt; `summed` comes with the time at which central hears of it. */
  openAttempt(descriptor: RoundDescriptor): { readonly summed: Promise<{ event: ShardSummed; at: number }> } {
    const { promise, resolve, reject } = Promise.withResolvers<{ event: ShardSummed; at: number }>()
    this.#summed.set(descriptor.task, { promise, resolve, reject })
    this.central.attempts = [descriptor]
    this.#command('round.opened', {
      ...descriptor,
      shards: descriptor.shards.map(plan => ({ ...plan, epoch: this.central.epoch })),
    })
    return { summed: promise }
  }

  settle({ task, round, attempt }: RoundDescriptor): void {
    this.#summed.delete(task)
    this.central.attempts = []
    this.central.settled = [{ task, round, attempt, outcome: 'committed' }]
    this.#command('round.settled', { task, round, attempt, outcome: 'committed' })
  }

  #command(type: keyof typeof regionCommands, data: object): void {
    const origin = { id: uuidv7(), source: 'central', time: new Date() }
    const content = Buffer.from(JSON.stringify(makeMessage(regionCommands, type, data as never, origin)))
    this.#channel.publish(amqpNames.commands, amqpNames.regionKey('north'), content, { persistent: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync()
  }
}

const ended = async (child: ChildProcess, end: () => void): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  const timer = setTimeout(() => child.kill('SIGKILL'), startMillis)
  end()
  await exited
  clearTimeout(timer)
}

/** Asks again and again until it is so. */
export const until = async (what: string, probe: () => Promise<boolean>): Promise<void> => {
  const end = performance.now() + startMillis
  while (!(await probe())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${startMillis / 1000} s`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
