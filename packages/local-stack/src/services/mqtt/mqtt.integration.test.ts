import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { appendFile, readFile } from 'node:fs/promises'
import { after, before, suite, test } from 'node:test'
import { connect, type IClientOptions, type MqttClient } from 'mqtt'
import { type CertificateAuthority, type CertificateFiles, openCertificateAuthority } from '../certificate-authority.ts'
import { testContext } from '../testing.ts'
import { type MqttService, startMqtt } from './mqtt.ts'

const closing = (client: MqttClient) => new Promise<void>(resolve => client.once('close', () => resolve()))
const nextMessage = (client: MqttClient) =>
  new Promise<[topic: string, payload: string]>(resolve =>
    client.once('message', (topic, payload) => resolve([topic, String(payload)])),
  )

suite('the MQTT broker', { timeout: 60_000 }, () => {
  const resources = new AsyncDisposableStack()
  let authority: CertificateAuthority
  let service: MqttService
  let context: Awaited<ReturnType<typeof testContext>>

  before(async () => {
    context = resources.use(await testContext())
    authority = await openCertificateAuthority(context.folders.state)
    service = resources.use(await startMqtt(authority, context))
  })
  after(() => resources.disposeAsync())

  const device = (id: string) => authority.clientCertificate(`device-${id}`, id, 'device')
  async function open(
    files: CertificateFiles | undefined,
    clientId: string,
    options: IClientOptions = {},
    url = service.url,
  ) {
    const certificate = files && { cert: await readFile(files.certificateFile), key: await readFile(files.keyFile) }
    const ca = await readFile(authority.certificateFile)
    return connected(
      connect(url, { clientId, ca, ...certificate, reconnectPeriod: 0, connectTimeout: 5000, ...options }),
    )
  }
  function connected(client: MqttClient): Promise<MqttClient> {
    return new Promise((resolve, reject) => {
      client.once('connect', () => resolve(client))
      client.on('error', reject)
      client.once('close', () => reject(new Error('closed')))
    })
  }

  test('carries a notice from a node to a device over TLS and a status back over WebSocket', async () => {
    const node = await open(await authority.clientCertificate('node-1', 'node-1', 'regional-node'), 'node-1')
    const agent = await open(await device('d1'), 'd1', {}, service.webSocketUrl)
    await agent.subscribeAsync('fl/v1/d/d1/down/+', { qos: 1 })
    await node.subscribeAsync('fl/v1/d/+/up/+', { qos: 1 })
    const notice = nextMessage(agent)
    await node.publishAsync('fl/v1/d/d1/down/work', '{"kind":"work"}', { qos: 1 })
    assert.deepEqual(await notice, ['fl/v1/d/d1/down/work', '{"kind":"work"}'])
    const status = nextMessage(node)
    await agent.publishAsync('fl/v1/d/d1/up/status', 'idle', { qos: 1, retain: true })
    assert.deepEqual(await status, ['fl/v1/d/d1/up/status', 'idle'])
    await Promise.all([node.endAsync(), agent.endAsync()])
  })

  test('publishes a last will when a device is cut off', async () => {
    const node = await open(await authority.clientCertificate('node-1', 'node-1', 'regional-node'), 'node-1')
    await node.subscribeAsync('fl/v1/d/d2/up/status', { qos: 1 })
    const will = { topic: 'fl/v1/d/d2/up/status', payload: Buffer.from('offline'), qos: 1, retain: true } as const
    const agent = await open(await device('d2'), 'd2', { will })
    const heard = nextMessage(node)
    agent.stream.destroy()
    assert.equal((await heard)[1], 'offline')
    await node.endAsync()
  })

  test('refuses a connection without a certificate, with one of another authority, or with another client id', async () => {
    await assert.rejects(open(undefined, 'd1'))
    const stranger = await openCertificateAuthority(`${context.folders.state}/stranger`)
    await assert.rejects(open(await stranger.clientCertificate('d1', 'd1', 'device'), 'd1'))
    await assert.rejects(open(await device('d1'), 'd9'), /Not authorized/)
    const will = { topic: 'fl/v1/d/d2/up/status', payload: Buffer.from('x'), qos: 1, retain: false } as const
    await assert.rejects(open(await device('d1'), 'd1', { will }), /Not authorized/)
    await assert.rejects(open(await device('d1'), 'd1', { clean: false }), /Not authorized/)
  })

  test('refuses subscriptions and publications outside the rights of a device', async () => {
    const agent = await open(await device('d3'), 'd3')
    for (const filter of ['#', 'fl/v1/d/+/down/+', 'fl/v1/d/d1/down/+', 'fl/v1/d/+/up/+', '$SYS/#']) {
      const granted = await agent.subscribeAsync(filter, { qos: 1 }).catch(error => error)
      assert.ok(granted instanceof Error || granted[0]?.qos === 128, filter)
    }
    const closed = closing(agent)
    agent.publish('fl/v1/d/d1/up/status', 'forged', { qos: 1 })
    await closed
    const second = await open(await device('d3'), 'd3')
    const closedAgain = closing(second)
    second.publish('fl/v1/d/d3/up/status', Buffer.alloc(200_000), { qos: 0 })
    await closedAgain
    const third = await open(await device('d3'), 'd3')
    const closedLast = closing(third)
    third.publish('fl/v1/d/d3/up/status', 'x', { qos: 2 })
    await closedLast
  })

  test('gives the id to the newest connection', async () => {
    const first = await open(await device('d4'), 'd4')
    const closed = closing(first)
    const second = await open(await device('d4'), 'd4')
    await closed
    assert.equal(second.connected, true)
    await second.endAsync()
  })

  test('drops a device when its certificate is revoked, and does not let it in again', async () => {
    const files = await device('d5')
    const agent = await open(files, 'd5')
    const closed = closing(agent)
    const { fingerprint256 } = new X509Certificate(await readFile(files.certificateFile))
    await appendFile(authority.revokedFile, `${fingerprint256.replaceAll(':', '').toLowerCase()}\n`)
    await closed
    await assert.rejects(open(files, 'd5'), /Not authorized/)
  })
})
