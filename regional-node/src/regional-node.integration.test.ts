import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { connect as http2 } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect as tls } from 'node:tls'
import { promisify } from 'node:util'
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { Client, credentials, status as grpcStatus } from '@grpc/grpc-js'
import { amqpNames } from '@tributary/contracts/amqp'
import { regionCommands } from '@tributary/contracts/commands'
import { makeMessage, parseMessage } from '@tributary/contracts/envelope'
import { centralEvents } from '@tributary/contracts/events'
import { HealthCheckResponse_ServingStatus as ServingStatus } from '@tributary/contracts/gen/grpc/health/v1/health_pb'
import { VerdictCode } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { federatedLearningMethods } from '@tributary/contracts/grpc-service'
import { Participation } from '@tributary/contracts/participation'
import type { EvaluationDescriptor, RoundDescriptor } from '@tributary/contracts/round'
import { deviceTopics } from '@tributary/contracts/topics'
import { inDeploymentShare } from '@tributary/learning/seeded/deployment-share'
import { encodeUpdate } from '@tributary/learning/update/update-body'
import {
  type CertificateAuthority,
  openCertificateAuthority,
} from '@tributary/local-stack/services/certificate-authority'
import { startIotData } from '@tributary/local-stack/services/iot-data/iot-data'
import { startMqtt } from '@tributary/local-stack/services/mqtt/mqtt'
import { startObjectStorage } from '@tributary/local-stack/services/object-storage/object-storage'
import { startRabbit } from '@tributary/local-stack/services/rabbitmq/rabbitmq'
import { testContext } from '@tributary/local-stack/services/testing'
import { Manifest } from '@tributary/tensors/manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf } from '@tributary/tensors/view'
import { type Channel, type ChannelModel, connect } from 'amqplib'
import { connectAsync } from 'mqtt'
import { v7 as uuidv7 } from 'uuid'
import { until } from './testing/manual-clock.ts'
import { NodeProcess } from './testing/node-process.ts'
import { sampleDeployment } from './testing/sample-deployment.ts'
import { sampleDescriptor, sha256Of } from './testing/sample-round.ts'
import { TestCentral } from './testing/test-central.ts'
import { certificateOfRequest, nodeCertificate } from './testing/test-certificates.ts'
import { refusalOf, TestDevice } from './testing/test-device.ts'

const { ACCEPTED, ALREADY } = VerdictCode
/** Values of the one tensor: an update of 1.2 MB, five messages of gRPC. */
const values = 300_000
const manifest = Manifest.parse({
  format: 'tributary.manifest/1',
  tensors: [{ name: 'w', dtype: 'F32', shape: [values], policy: 'average' }],
  inputs: [],
  outputs: [],
  loss: 'softmax-cross-entropy',
  labelKind: 'class-index',
})
const deltas = (device: number) =>
  Float32Array.from({ length: values }, (_, i) => ((i % 1000) - 500) / 2 ** (10 + device))
const updateOf = (device: number) => encodeUpdate(manifest, new Map([['w', bytesOf(deltas(device))]]))

const services = new AsyncDisposableStack()
let authority: CertificateAuthority
let central: TestCentral
let environment: Record<string, string>
let storage: S3Client
let broker: ChannelModel
let channel: Channel
let mqttUrl: string
const nodeId = uuidv7()
const objects = new Map<string, Buffer>()
/** Of features: to a node, bytes. */
const statistics = Buffer.from('mean and variance')

const put = async (Key: string, Body: Buffer) => {
  await storage.send(new PutObjectCommand({ Bucket: 'tributary', Key, Body }))
  return { objectKey: Key, sha256: sha256Of(Body), bytes: Body.byteLength }
}
const getObject = async (Key: string): Promise<Buffer> => {
  const { Body } = await storage.send(new GetObjectCommand({ Bucket: 'tributary', Key }))
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}
const command = (type: keyof typeof regionCommands, data: never) => {
  const origin = { id: uuidv7(), source: 'central', time: new Date(Date.now() + central.aheadMillis) }
  const content = Buffer.from(JSON.stringify(makeMessage(regionCommands, type, data, origin)))
  channel.publish(amqpNames.commands, amqpNames.regionKey('north'), content, { persistent: true })
}
const nextMessage = async (queue: string) => {
  const end = performance.now() + 20_000
  while (performance.now() < end) {
    const message = await channel.get(queue, { noAck: true })
    if (message !== false) return message
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw new Error(`nothing comes in ${queue}`)
}
const nextEvent = async (type: keyof typeof centralEvents, task: string) => {
  for (;;) {
    const parsed = parseMessage(centralEvents, (await nextMessage(amqpNames.centralEvents)).content)
    assert.ok(parsed.ok)
    const data = parsed.message.data as { task?: string; evaluation?: string }
    if (parsed.message.type === type && (data.task ?? data.evaluation) === task) return data as never
  }
}

before(
  async () => {
    const context = services.use(await testContext())
    authority = await openCertificateAuthority(context.folders.state)
    const [s3, rabbit, mqtt] = await Promise.all([
      startObjectStorage(['tributary'], context),
      startRabbit(context),
      startMqtt(authority, context),
    ])
    for (const service of [s3, rabbit, mqtt]) services.use(service)
    const iotData = services.use(await startIotData(authority, mqtt, context))
    mqttUrl = mqtt.url
    central = services.use(await TestCentral.listen(authority.certificatePem))
    const certificate = await nodeCertificate(authority, nodeId)
    const aws = {
      AWS_REGION: 'local',
      AWS_ACCESS_KEY_ID: context.credentials.awsAccessKeyId,
      AWS_SECRET_ACCESS_KEY: context.credentials.awsSecretAccessKey,
      AWS_ENDPOINT_URL_S3: s3.url,
      AWS_ENDPOINT_URL_IOT_DATA_PLANE: iotData.url,
    }
    environment = {
      PATH: process.env.PATH ?? '',
      NODE_CERT_FILE: certificate.certificateFile,
      NODE_KEY_FILE: certificate.keyFile,
      AUTHORITY_CERT_FILE: authority.certificateFile,
      CENTRAL_URL: central.url,
      AMQP_URL: rabbit.url,
      MQTT_URL: mqtt.url,
      BUCKET: 'tributary',
      OBJECT_STORAGE_PATH_STYLE: 'true',
      ...aws,
      GRPC_LISTEN: '127.0.0.1:0',
      HTTP_LISTEN: '127.0.0.1:0',
      LOG_LEVEL: 'debug',
    }
    storage = new S3Client({
      region: 'local',
      endpoint: s3.url,
      forcePathStyle: true,
      credentials: { accessKeyId: aws.AWS_ACCESS_KEY_ID, secretAccessKey: aws.AWS_SECRET_ACCESS_KEY },
    })
    services.defer(() => storage.destroy())
    broker = await connect(rabbit.url)
    services.defer(() => broker.close())
    channel = await broker.createChannel()
    objects.set('manifest', Buffer.from(JSON.stringify(manifest)))
    const base = encodeSafetensors([
      { name: 'w', dtype: 'F32', shape: [values], bytes: bytesOf(new Float32Array(values)) },
    ])
    objects.set('base', Buffer.from(base))
  },
  { timeout: 120_000 },
)
after(() => services.disposeAsync())

/** A node in its own process with devices that are registered, and an attempt for all of them. */
const federation = async (trainers: number, more: Record<string, string> = {}, aheadMillis = 0) => {
  await using opening = new AsyncDisposableStack()
  const dataDir = await mkdtemp(join(tmpdir(), 'tributary-node-'))
  opening.defer(() => rm(dataDir, { recursive: true }))
  const devices = await Promise.all(
    Array.from({ length: trainers }, (_, i) => TestDevice.enrol(authority, { sequence: i + 1 })),
  )
  const evaluator = opening.use(await TestDevice.enrol(authority, { sequence: trainers + 1, kind: 'evaluator' }))
  for (const device of devices) opening.use(device)
  Object.assign(central, {
    devices: [...devices, evaluator].map(({ entry }) => entry),
    attempts: [],
    deployments: [],
    epoch: 0,
    settled: [],
    aheadMillis,
  })
  const base = await put('models/m/base.safetensors', objects.get('base') as Buffer)
  const description = await put('models/m/manifest.json', objects.get('manifest') as Buffer)
  const sample = sampleDescriptor(Date.now() + aheadMillis, { goal: trainers, select: trainers })
  const descriptor: RoundDescriptor = {
    ...sample,
    base: { ...sample.base, ...base },
    manifest: description,
    statistics: await put('models/s/statistics.safetensors', statistics),
    sum: { ...sample.sum, maxUpdates: 4 },
  }
  const nodes = opening.use(new AsyncDisposableStack())
  const start = async (own = more) => {
    const node = nodes.use(await NodeProcess.start({ ...environment, ...own, DATA_DIR: dataDir }))
    for (const device of [...devices, evaluator]) device.connect(node.grpcPort)
    return node
  }
  const node = await start()
  const opened = opening.move()
  return { node, start, devices, evaluator, descriptor, dataDir, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** Checks in until the node counts the device as online: what central says of the lease may still be on its way to the node. */
const appear = async (device: TestDevice) => {
  const end = performance.now() + 30_000
  for (;;) {
    const { result } = await device.checkIn()
    if (result.case === 'assignment') return
    assert.ok(performance.now() < end, `a check-in is answered by ${result.case}`)
  }
}
const healthz = async (node: NodeProcess) => {
  const response = await fetch(`http://127.0.0.1:${node.httpPort}/healthz`)
  return { status: response.status, body: (await response.json()) as { healthy: boolean } }
}
const metricsOf = async (node: NodeProcess) => (await fetch(`http://127.0.0.1:${node.httpPort}/metrics`)).text()
const healthy = async (node: NodeProcess) => {
  const end = performance.now() + 20_000
  while ((await healthz(node)).status !== 200) {
    assert.ok(performance.now() < end, node.output.join('\n'))
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
/** The sum by its definition: e = 25, every delta a multiple of 2^-13, weight 10, so nothing is rounded. */
const expectedSum = (devices: readonly number[]): Buffer => {
  const sums = new BigInt64Array(values)
  for (const device of devices) {
    for (const [i, delta] of deltas(device).entries()) sums[i] = (sums[i] ?? 0n) + BigInt(delta * 10 * 2 ** 25)
  }
  const bytes = bytesOf(sums)
  return Buffer.from(encodeSafetensors([{ name: 'sum/w', dtype: 'I64', shape: [values], bytes }]))
}

test('a node killed in the middle of a round keeps receipts and uploads, and the sum is the exact one', {
  timeout: 120_000,
}, async () => {
  await using field = await federation(3)
  const { devices, descriptor } = field
  const [one, two, three] = devices as [TestDevice, TestDevice, TestDevice]
  await healthy(field.node)
  for (const device of devices) await appear(device)
  central.attempts = [descriptor]
  command('round.opened', descriptor as never)

  const works = await Promise.all(devices.map(device => device.work('training')))
  const [work1, work2, work3] = works as [(typeof works)[0], (typeof works)[0], (typeof works)[0]]
  assert.ok((await one.pull(work1.token, work1.base?.sha256 ?? '')).equals(objects.get('base') as Buffer))
  assert.equal(
    (await one.pull(work1.token, work1.base?.sha256 ?? '', 1_000_000)).byteLength,
    (objects.get('base')?.byteLength ?? 0) - 1_000_000,
  )
  assert.ok((await one.pull(work1.token, work1.statistics?.sha256 ?? '')).equals(statistics))
  await assert.rejects(one.pull(work1.token, 'f'.repeat(64)), error => refusalOf(error) === 'OBJECT_UNKNOWN')

  // A verdict does not wait for the rest of a body that is not wanted.
  const unwanted = await one.push({ ...work1, token: 'x.y.z' }, updateOf(1), { stopAt: 1_000_000 })
  assert.equal(unwanted.verdict?.code, VerdictCode.UNAUTHORISED)
  const first = await one.push(work1, updateOf(1))
  const second = await two.push(work2, updateOf(2))
  assert.deepEqual([first.verdict?.code, second.verdict?.code], [ACCEPTED, ACCEPTED])
  const body3 = updateOf(3)
  const cut = three.push(work3, body3, { stopAt: 600_000 })
  cut.catch(() => {})
  const spooled = async () => (await three.updateStatus(work3.token, sha256Of(body3))).receivedBytes
  while ((await spooled()) < 600_000n) await new Promise(resolve => setTimeout(resolve, 10))

  await field.node.end('SIGKILL')
  await assert.rejects(cut)
  const again = await field.start()
  await healthy(again)
  assert.equal(central.epoch, 1, 'the node listed its log, so the epoch is the same')

  const repeated = await one.push(work1, updateOf(1))
  assert.deepEqual([repeated.verdict?.code, repeated.verdict?.receipt], [ALREADY, first.verdict?.receipt])
  const known = await two.updateStatus(work2.token, sha256Of(updateOf(2)))
  assert.deepEqual([known.verdict?.code, known.verdict?.receipt], [ALREADY, second.verdict?.receipt])
  assert.equal(await spooled(), 600_000n)
  const third = await three.push(work3, body3, { offset: 600_000 })
  assert.equal(third.verdict?.code, ACCEPTED)

  const event = centralEvents['shard.summed'].parse(await nextEvent('shard.summed', descriptor.task))
  assert.deepEqual([event.accepted, event.weight, event.epoch, event.node], [3, '30', 1, nodeId])
  assert.deepEqual(event.metrics, { examples: '30', loss_q20: '21' })
  const expected = expectedSum([1, 2, 3])
  assert.equal(event.sum?.sha256, sha256Of(expected))
  assert.ok((await getObject(event.sum?.objectKey ?? '')).equals(expected))
  const list = (await getObject(event.participation.objectKey)).toString().trimEnd().split('\n')
  const rows = list.map(line => Participation.parse(JSON.parse(line)))
  assert.deepEqual(
    rows.map(({ device }) => device),
    devices.map(({ entry }) => entry.device).sort(),
  )
  assert.ok(rows.every(({ verdict }) => verdict === 'accepted'))

  const { task } = descriptor
  await until(() => central.logs.some(entry => entry.message.includes('3 of 3 accepted') && entry.task === task))
  // Killed once more after the sum: the event comes again, the sum is not made anew.
  await again.end('SIGKILL')
  const last = await field.start()
  const repeatedEvent = centralEvents['shard.summed'].parse(await nextEvent('shard.summed', descriptor.task))
  assert.deepEqual(repeatedEvent, event)
  central.attempts = []
  command('round.settled', { task: descriptor.task, round: 1, attempt: 1, outcome: 'committed' } as never)
  const ref = { task: descriptor.task, round: 1, attempt: 1 }
  for (;;) {
    const { result } = await one.checkIn({ holding: [ref] })
    const [settled] = result.case === 'assignment' ? result.value.settled : []
    if (settled === undefined) continue
    assert.equal(settled.outcome, 'committed')
    break
  }
  assert.equal(await last.end('SIGTERM'), 0)
  assert.equal(central.statuses.at(-1)?.draining, true)
  assert.deepEqual(central.faults, [])
  assert.equal((await stat(join(field.dataDir, 'token.key'))).mode & 0o777, 0o600)
})

test('a call that was begun and goes nowhere does not keep a node from ending', { timeout: 60_000 }, async () => {
  await using field = await federation(1, { DRAIN_SECONDS: '1' })
  const [device] = field.devices as [TestDevice]
  await healthy(field.node)
  await appear(device)
  const [cert, key] = await Promise.all([readFile(device.files.certificateFile), readFile(device.files.keyFile)])
  const ca = authority.certificatePem
  const session = http2(`https://localhost:${field.node.grpcPort}`, { ca, cert, key }).on('error', () => {})
  const call = session.request({
    ':method': 'POST',
    ':path': federatedLearningMethods.checkIn.path,
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  call.on('error', () => {})
  const ended = once(call, 'close')
  await once(session, 'remoteSettings')
  // Headers only: the message never comes. The node has them once it answered a ping that was sent behind them.
  await promisify(session.ping.bind(session))()
  assert.equal(await field.node.end('SIGTERM'), 0)
  await ended
})

test('a certificate that is due is followed by the next one, for devices, broker and central, and at the next start', {
  timeout: 60_000,
}, async () => {
  const [from, to] = [Date.now() - 21 * 86_400_000, Date.now() + 9 * 86_400_000]
  const own = await nodeCertificate(authority, uuidv7(), { from, to })
  const fingerprintOf = (pem: string | Buffer) => new X509Certificate(pem).fingerprint256
  const first = await readFile(own.certificateFile, 'utf8')
  const node = /CN=(.*)/.exec(new X509Certificate(first).subject)?.[1] ?? ''
  const issued: string[] = []
  central.certify = async csr => {
    const certificate = await certificateOfRequest(authority, node, csr)
    issued.push(certificate)
    return certificate
  }
  central.signers.length = 0
  await using field = await federation(1, { NODE_CERT_FILE: own.certificateFile, NODE_KEY_FILE: own.keyFile })
  await healthy(field.node)
  const shownBy = async ({ grpcPort }: NodeProcess) => {
    const { certificateFile, keyFile } = (field.devices[0] as TestDevice).files
    const [cert, key] = await Promise.all([readFile(certificateFile), readFile(keyFile)])
    const socket = tls({
      host: 'localhost',
      port: grpcPort,
      ca: authority.certificatePem,
      cert,
      key,
      ALPNProtocols: ['h2'],
    })
    await once(socket, 'secureConnect')
    const { raw } = socket.getPeerCertificate()
    socket.destroy()
    return fingerprintOf(raw)
  }
  const [second] = await until(() => (issued.length > 0 ? issued : false))
  const renewed = fingerprintOf(second ?? '')
  await until(() => central.signers.at(-1) === renewed)
  central.ended.add(fingerprintOf(first))
  assert.equal(await shownBy(field.node), renewed)
  await appear(field.devices[0] as TestDevice)
  assert.equal(await field.node.end('SIGTERM'), 0)

  central.signers.length = 0
  const again = await field.start()
  await healthy(again)
  assert.equal(await shownBy(again), renewed)
  assert.deepEqual(new Set(central.signers), new Set([renewed]))
  assert.equal(issued.length, 1)
  assert.deepEqual(central.faults, [])
  central.certify = undefined
})

test('a released version reaches the devices of its share with its files, and what they say of it reaches central, once', {
  timeout: 60_000,
}, async () => {
  await using field = await federation(3)
  const { devices } = field
  await healthy(field.node)
  const files = {
    weights: {
      ...(await put('models/m/deployed.safetensors', objects.get('base') as Buffer)),
      version: uuidv7(),
      number: 4,
    },
    manifest: await put('models/m/deployed.json', objects.get('manifest') as Buffer),
    graph: await put('models/m/deployed.onnx', Buffer.from('a graph')),
  }
  const personalise = {
    dataset: 'digits',
    localEpochs: 2,
    batchSize: 8,
    learningRate: 0.1,
    optimizer: 'sgd',
    frozen: ['a*'],
  } as const
  const fitted = { personalise: { ...personalise, frozen: [...personalise.frozen] }, task: uuidv7() }
  const descriptor = sampleDeployment({ ...files, ...fitted, share: 0.5 })
  const chosen = (share: number) =>
    devices.filter(({ entry }) => inDeploymentShare(descriptor.deployment, entry.device, share))
  const offered = async (device: TestDevice, fields: Parameters<TestDevice['checkIn']>[0] = {}) => {
    const { result } = await device.checkIn(fields)
    return result.case === 'assignment' ? result.value.deployments : []
  }
  const untilOffered = async (device: TestDevice, revision: number) => {
    const end = performance.now() + 20_000
    while (performance.now() < end) {
      const [found] = await offered(device)
      if (found?.revision === revision) return found
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    throw new Error(`revision ${revision} was not offered`)
  }
  // As central does it: a node whose queue is not bound yet misses the command, and learns the same by its status.
  central.deployments = [descriptor]
  command('model.released', descriptor as never)
  for (const device of chosen(0.5)) {
    const { task, personalise: wish } = await untilOffered(device, 1)
    assert.equal(task, fitted.task)
    assert.deepEqual({ ...wish }, { $typeName: wish?.$typeName, ...fitted.personalise, heldOut: '', loss: '' })
  }
  for (const device of devices) {
    if (!chosen(0.5).includes(device)) assert.deepEqual(await offered(device), [])
  }
  central.deployments = [{ ...descriptor, share: 1, revision: 2 }]
  command('model.released', central.deployments[0] as never)
  for (const device of devices) await untilOffered(device, 2)

  const [one, two] = devices as [TestDevice, TestDevice]
  const work = await untilOffered(one, 2)
  assert.deepEqual([work.version, work.versionNumber, work.modelName], [files.weights.version, 4, 'digits'])
  for (const object of [work.weights, work.manifest, work.graph]) {
    const bytes = await one.pull(work.token, object?.sha256 ?? '')
    assert.equal(sha256Of(bytes), object?.sha256)
  }
  const sha256 = work.weights?.sha256 ?? ''
  const rest = await one.pull(work.token, sha256, 1_000_000)
  assert.equal(rest.byteLength, files.weights.bytes - 1_000_000)
  await assert.rejects(two.pull(work.token, sha256), error => refusalOf(error) === 'TOKEN_INVALID')
  await assert.rejects(one.pull(work.token, 'f'.repeat(64)), error => refusalOf(error) === 'OBJECT_UNKNOWN')

  const state = { deployment: descriptor.deployment, revision: 2, state: 'serving' }
  const told = () =>
    central.statuses.flatMap(({ deploymentReports = [] }) =>
      deploymentReports.map(report => `${report.device} ${report.state}`),
    )
  await offered(one, { deployments: [state] })
  await until(() => told().includes(`${one.entry.device} serving`))
  await offered(one, { deployments: [state] })
  // What is unhealthy is told at once.
  await offered(two, { deployments: [{ ...state, state: 'unhealthy', detail: 'NaN' }] })
  await until(() => told().includes(`${two.entry.device} unhealthy`))
  assert.equal(told().length, 2)

  // A restart knows the level from the first answer, and devices repeat their states.
  await field.node.end('SIGKILL')
  const again = await field.start()
  await healthy(again)
  await untilOffered(one, 2)
  await offered(one, { deployments: [state] })
  await until(() => told().length > 2)
  assert.equal(told().at(-1), `${one.entry.device} serving`)
  const many = Array.from({ length: 200 }, () => state)
  await assert.rejects(one.checkIn({ deployments: many }), error => refusalOf(error) === 'BODY_INVALID')
  central.deployments = []
  command('model.released', { ...descriptor, share: 0, revision: 3 } as never)
  const end = performance.now() + 10_000
  while ((await offered(one)).length > 0) assert.ok(performance.now() < end)
  assert.deepEqual(central.faults, [])
})

for (const [way, above] of [
  ['the session of the node', '1'],
  ['the IoT data plane', '0'],
] as const) {
  test(`a device hears of work by ${way} at once, and its last will takes it away`, { timeout: 60_000 }, async () => {
    await using field = await federation(1, { NOTICES_BY_DATA_PLANE_ABOVE: above })
    const [device] = field.devices as [TestDevice]
    await healthy(field.node)
    const id = device.entry.device
    const status = deviceTopics.up(id, 'status')
    const session = await connectAsync(mqttUrl, {
      clientId: id,
      cert: await readFile(device.files.certificateFile),
      key: await readFile(device.files.keyFile),
      ca: await readFile(authority.certificateFile),
      will: { topic: status, payload: Buffer.from('{"state":"offline"}'), qos: 1, retain: true },
    })
    await using _ = { [Symbol.asyncDispose]: () => session.endAsync(true) }
    await session.subscribeAsync(deviceTopics.allDown(id), { qos: 1 })
    await session.publishAsync(status, '{"state":"idle"}', { qos: 1, retain: true })
    await appear(device)
    const notice = new Promise<[string, Buffer]>(resolve =>
      session.once('message', (topic, payload) => resolve([topic, payload])),
    )
    central.attempts = [field.descriptor]
    command('round.opened', field.descriptor as never)
    const [topic, payload] = await notice
    assert.equal(topic, deviceTopics.down(id, 'work'))
    const { task, round, attempt } = field.descriptor
    assert.deepEqual(JSON.parse(`${payload}`), { kind: 'work', attempt: { task, round, attempt } })
    const counted = `kind="work",by="${above === '0' ? 'data-plane' : 'session'}"} 1`
    while (!(await metricsOf(field.node)).includes(counted)) await new Promise(resolve => setTimeout(resolve, 20))
    const released = new Promise<[string, Buffer]>(resolve =>
      session.once('message', (topic, payload) => resolve([topic, payload])),
    )
    command('model.released', sampleDeployment() as never)
    assert.deepEqual((await released).map(String), [deviceTopics.down(id, 'work'), '{"kind":"work"}'])
    const online = () => central.statuses.at(-1)?.shards[0]?.devicesOnline
    await until(() => online() === 1)
    session.stream.destroy()
    session.end(true)
    await until(() => online() === 0)
    assert.equal(await field.node.end('stdin'), 0)
  })
}

test('evaluators report once each, and their sums go to central', { timeout: 60_000 }, async () => {
  await using field = await federation(1)
  const { evaluator, descriptor } = field
  await healthy(field.node)
  await appear(evaluator)
  const evaluation: EvaluationDescriptor = {
    evaluation: uuidv7(),
    task: descriptor.task,
    round: 1,
    weights: descriptor.base,
    manifest: descriptor.manifest,
    graph: null,
    statistics: await put('models/s/statistics.safetensors', statistics),
    trainer: descriptor.trainer,
    dataset: 'digits',
    deadline: descriptor.deadline,
    shards: [{ region: 'north', shard: 0, epoch: central.epoch }],
  }
  central.evaluations = [evaluation]
  command('evaluation.opened', evaluation as never)
  const work = await evaluator.work('evaluation')
  assert.equal(work.evaluation, evaluation.evaluation)
  assert.ok((await evaluator.pull(work.token, work.weights?.sha256 ?? '')).equals(objects.get('base') as Buffer))
  assert.ok((await evaluator.pull(work.token, work.statistics?.sha256 ?? '')).equals(statistics))
  const report = {
    token: work.token,
    evaluation: work.evaluation,
    examples: 100n,
    metrics: [
      { name: 'correct', value: 93n },
      { name: 'loss_q20', value: 12_345n },
    ],
  }
  assert.equal((await evaluator.reportEvaluation(report)).verdict?.code, ACCEPTED)
  assert.equal((await evaluator.reportEvaluation(report)).verdict?.code, ALREADY)
  const event = centralEvents['evaluation.summed'].parse(await nextEvent('evaluation.summed', evaluation.evaluation))
  assert.deepEqual(event.metrics, { correct: '93', examples: '100', loss_q20: '12345' })
  assert.equal(event.evaluators, 1)
  central.evaluations = []
})

test('a device that declares at check-in that it cannot train is not waited for', { timeout: 60_000 }, async () => {
  await using field = await federation(2)
  await healthy(field.node)
  const [one, two] = field.devices as [TestDevice, TestDevice]
  await appear(one)
  await appear(two)
  central.attempts = [field.descriptor]
  command('round.opened', field.descriptor as never)
  const work = await one.work('training')
  const failed = [{ token: work.token, code: 'DATASET_UNUSABLE', detail: 'IDX_MALFORMED' }]
  const { result } = await one.checkIn({ failed })
  assert.equal(result.case === 'assignment' && result.value.training, undefined, 'the work is not handed out again')
  assert.equal((await two.push(await two.work('training'), updateOf(2))).verdict?.code, ACCEPTED)
  const event = centralEvents['shard.summed'].parse(await nextEvent('shard.summed', field.descriptor.task))
  assert.deepEqual([event.selected, event.accepted], [2, 1])
  const rows = `${await getObject(event.participation.objectKey)}`.trimEnd().split('\n')
  const { verdict, code, detail } = rows
    .map(row => Participation.parse(JSON.parse(row)))
    .find(({ device }) => device === one.entry.device) as Participation
  assert.deepEqual([verdict, code, detail], ['failed', 'DATASET_UNUSABLE', 'IDX_MALFORMED'])
  await until(() => central.logs.some(entry => entry.code === 'DATASET_UNUSABLE'))
})

test('who has no right certificate is refused, and says why', { timeout: 60_000 }, async () => {
  await using field = await federation(1)
  const { node, devices } = field
  await healthy(node)
  const ca = await readFile(authority.certificateFile)
  const anonymous = new Client(`localhost:${node.grpcPort}`, credentials.createSsl(ca))
  await assert.rejects(
    new Promise((_, reject) =>
      anonymous.waitForReady(Date.now() + 2000, error => reject(error ?? new Error('let in'))),
    ),
    /Failed to connect/,
  )
  anonymous.close()
  using stranger = await TestDevice.enrol(authority, { sequence: 99 })
  stranger.connect(node.grpcPort)
  await assert.rejects(stranger.checkIn(), error => refusalOf(error) === 'FORBIDDEN')
  // Registered a moment ago: the node asks central before it refuses.
  central.devices = [...central.devices, { ...stranger.entry, sequence: central.devices.length + 1 }]
  await appear(stranger)
  const [device] = devices as [TestDevice]
  await appear(device)
  command('device.revoked', { device: device.entry.device } as never)
  for (;;) {
    const failure: unknown = await device.checkIn().then(
      () => null,
      error => error,
    )
    if (failure === null) continue
    assert.equal(refusalOf(failure), 'CERTIFICATE_REVOKED')
    assert.equal((failure as { code: number }).code, grpcStatus.PERMISSION_DENIED)
    break
  }
  assert.equal(
    (await device.checkIn({ protocolMin: 2, protocolMax: 3 }).catch(refusalOf)) as never,
    'CERTIFICATE_REVOKED',
  )
  const { result } = await stranger.checkIn({ protocolMin: 2, protocolMax: 3 })
  assert.deepEqual([result.case, result.case === 'upgrade' && result.value.protocolMax], ['upgrade', 1])
})

test('commands that are none are dead-lettered with the reason, and the node goes on', {
  timeout: 60_000,
}, async () => {
  await using field = await federation(1)
  await healthy(field.node)
  await channel.purgeQueue(amqpNames.deadLetterQueue)
  for (const content of ['not json', '{"type":"round.exploded"}', '{"type":"task.cancelled","data":{}}']) {
    channel.publish(amqpNames.commands, amqpNames.regionKey('north'), Buffer.from(content))
    const letter = await nextMessage(amqpNames.deadLetterQueue)
    assert.equal(letter.content.toString(), content)
    assert.match(`${letter.properties.headers?.['tributary-reason']}`, /not JSON|unknown type|data/)
  }
  await healthy(field.node)
  const metrics = await (await fetch(`http://127.0.0.1:${field.node.httpPort}/metrics`)).text()
  assert.match(metrics, /^tributary_commands_total\{type="poison"\} 3$/m)
  assert.match(metrics, /^tributary_shards_leased 1$/m)
  await until(() => central.logs.some(({ message }) => message.includes('a command was refused')))
})

test('while central is away the lease runs out and the node says so; afterwards it goes on with its epoch', {
  timeout: 60_000,
}, async () => {
  await using field = await federation(1)
  await healthy(field.node)
  const [device] = field.devices as [TestDevice]
  await appear(device)
  assert.equal((await device.health()).status, ServingStatus.SERVING)
  central.attempts = [field.descriptor]
  command('round.opened', field.descriptor as never)
  const work = await device.work('training')
  central.isDown = true
  while ((await healthz(field.node)).status === 200) await new Promise(resolve => setTimeout(resolve, 100))
  assert.equal((await device.health()).status, ServingStatus.NOT_SERVING)
  const stopped = await device.push(work, updateOf(1))
  assert.equal(stopped.verdict?.code, VerdictCode.RETRY_AFTER)
  central.isDown = false
  await healthy(field.node)
  assert.equal((await device.push(work, updateOf(1))).verdict?.code, ACCEPTED)
  const event = centralEvents['shard.summed'].parse(await nextEvent('shard.summed', field.descriptor.task))
  assert.deepEqual([event.epoch, event.accepted], [1, 1])
})

for (const [how, aheadMillis] of [
  ['ahead', -3_600_000],
  ['behind', 3_600_000],
] as const) {
  test(`a node whose clock is an hour ${how} goes by the time of central`, { timeout: 60_000 }, async () => {
    await using field = await federation(2, {}, aheadMillis)
    await healthy(field.node)
    const [one, two] = field.devices as [TestDevice, TestDevice]
    await appear(one)
    central.attempts = [field.descriptor]
    command('round.opened', field.descriptor as never)
    const work = await one.work('training')
    assert.equal((await one.push(work, updateOf(1))).verdict?.code, ACCEPTED)
    // Selection lasts 10 s and the round 60 s more, by central's clock: the second may come still.
    assert.equal((await two.push(await two.work('training'), updateOf(2))).verdict?.code, ACCEPTED)
    const event = centralEvents['shard.summed'].parse(await nextEvent('shard.summed', field.descriptor.task))
    assert.equal(event.accepted, 2)
    central.aheadMillis = 0
    central.faults.length = 0
  })
}

test('central hears of each device that is there, also after calls that failed, and of all after a restart', {
  timeout: 60_000,
}, async () => {
  await using run = await federation(2)
  const [first, second] = run.devices as [TestDevice, TestDevice]
  const tellings = (device: TestDevice, from: number) =>
    central.statuses
      .slice(from)
      .flatMap(({ presence = [] }) => presence.filter(seen => seen.device === device.entry.device))
  await healthy(run.node)
  const begun = central.statuses.length
  await first.checkIn({ conditions: ['idle', 'of a later version'] })
  const told = await until(() => tellings(first, begun)[0])
  assert.deepEqual(
    { ...told, seenAt: '' },
    {
      device: first.entry.device,
      online: true,
      seenAt: '',
      agentVersion: '0.1.0',
      frameworks: ['onnx'],
      datasets: [{ name: 'digits', examples: 100, heldOut: false }],
      conditions: ['idle'],
      certificateSha256: first.entry.certificateSha256,
    },
  )
  assert.ok(Math.abs(Date.parse(told.seenAt) - Date.now()) < 5000)
  central.isDown = true
  await second.checkIn()
  await until(() => run.node.output.some(line => line.includes('status call failed')))
  central.isDown = false
  await until(() => tellings(second, begun)[0])
  // What central has been told is not told again.
  assert.equal(tellings(first, begun).length, 1)
  // What the owner lets out about data sets is asked for once, and again by a node that has just started.
  const digest = 'd'.repeat(64)
  const isAsked = async (fields: Parameters<TestDevice['checkIn']>[0] = {}) => {
    const { result } = await first.checkIn({ conditions: ['idle'], descriptionsDigest: digest, ...fields })
    return result.case === 'assignment' ? result.value.describeDatasets : undefined
  }
  assert.equal(await isAsked(), true)
  const datasets = [{ name: 'digits', labelCounts: [60n, 40n] }]
  assert.equal(await isAsked({ descriptions: { digest, datasets } }), false)
  const described = () => central.statuses.flatMap(({ datasetDescriptions = [] }) => datasetDescriptions)
  assert.deepEqual(await until(() => described()[0]), {
    device: first.entry.device,
    digest,
    datasets: [{ name: 'digits', labelCounts: [60, 40] }],
  })
  assert.equal(await isAsked(), false)
  const restarted = central.statuses.length
  await run.node.end('SIGKILL')
  const again = await run.start()
  await healthy(again)
  assert.equal(await isAsked(), true)
  await until(() => tellings(first, restarted)[0])
  assert.equal(described().length, 1)
})

test('a log that its key does not open is lost: the epoch is raised and devices send again', {
  timeout: 60_000,
}, async () => {
  await using run = await federation(2)
  const [one, two] = run.devices as [TestDevice, TestDevice]
  await healthy(run.node)
  for (const device of run.devices) await appear(device)
  central.attempts = [run.descriptor]
  command('round.opened', run.descriptor as never)
  const before = await one.work('training')
  const first = await one.push(before, updateOf(1))
  assert.equal(first.verdict?.code, ACCEPTED)
  await run.node.end('SIGKILL')
  central.keys += 1
  const again = await run.start()
  await healthy(again)
  await until(() => central.epoch === 2)
  await until(() => central.logs.some(({ code }) => code === 'SHARD_LOST'))
  for (const device of run.devices) await appear(device)
  assert.equal((await one.push(before, updateOf(1))).verdict?.code, VerdictCode.WRONG_EPOCH)
  assert.equal((await one.push(await one.work('training'), updateOf(1))).verdict?.code, ACCEPTED)
  assert.equal((await two.push(await two.work('training'), updateOf(2))).verdict?.code, ACCEPTED)
  const event = centralEvents['shard.summed'].parse(await nextEvent('shard.summed', run.descriptor.task))
  assert.deepEqual([event.epoch, event.accepted, event.sum?.sha256], [2, 2, sha256Of(expectedSum([1, 2]))])
})

test('a failed fsync ends the node with code 1 and without a receipt; after a restart the update counts once', {
  timeout: 60_000,
}, async () => {
  // Appends: the attempt, its selection, the update.
  await using run = await federation(1, { FAILPOINT: 'log.before-sync:3:fail' })
  const [device] = run.devices as [TestDevice]
  await healthy(run.node)
  await appear(device)
  central.attempts = [run.descriptor]
  command('round.opened', run.descriptor as never)
  const work = await device.work('training')
  await assert.rejects(device.push(work, updateOf(1)))
  assert.equal(await run.node.ended(), 1)
  assert.ok(run.node.output.some(line => line.includes('EIO: i/o error at log.before-sync')))
  const again = await run.start({})
  await healthy(again)
  assert.equal(central.epoch, 1)
  // Whether the record reached the disk is for the disk to say: known as accepted, or the whole body is there and to be judged.
  const { receivedBytes, verdict } = await device.updateStatus(work.token, sha256Of(updateOf(1)))
  if (verdict?.code !== ALREADY) {
    const resumed = await device.push(work, updateOf(1), { offset: Number(receivedBytes) })
    assert.equal(resumed.verdict?.code, ACCEPTED)
  }
  const event = centralEvents['shard.summed'].parse(await nextEvent('shard.summed', run.descriptor.task))
  assert.deepEqual([event.accepted, event.sum?.sha256], [1, sha256Of(expectedSum([1]))])
})
