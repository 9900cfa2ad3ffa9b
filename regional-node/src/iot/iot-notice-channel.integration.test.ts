import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { Writable } from 'node:stream'
import { after, before, suite, test } from 'node:test'
import { deviceTopics } from '@tributary/contracts/topics'
import { openCertificateAuthority } from '@tributary/local-stack/services/certificate-authority'
import { startIotData } from '@tributary/local-stack/services/iot-data/iot-data'
import { startMqtt } from '@tributary/local-stack/services/mqtt/mqtt'
import { testContext } from '@tributary/local-stack/services/testing'
import { connectAsync, type MqttClient } from 'mqtt'
import { pino } from 'pino'
import { v7 as uuidv7 } from 'uuid'
import { createNodeMetrics } from '../health/node-metrics.ts'
import { prometheusText } from '../health/prometheus.ts'
import { ManualClock, until } from '../testing/manual-clock.ts'
import { IotNoticeChannel } from './iot-notice-channel.ts'

const attempt = { task: uuidv7(), round: 3, attempt: 1 }

suite('notices by the IoT data plane', { timeout: 60_000 }, () => {
  const services = new AsyncDisposableStack()
  const listeners: { id: string; session: MqttClient; heard: string[] }[] = []
  let endpoint: string

  before(async () => {
    const context = services.use(await testContext())
    const authority = await openCertificateAuthority(context.folders.state)
    const mqtt = services.use(await startMqtt(authority, context))
    endpoint = services.use(await startIotData(authority, mqtt, context)).url
    // The SDK reads these by itself, as it does in a node.
    Object.assign(process.env, {
      AWS_REGION: 'local',
      AWS_ACCESS_KEY_ID: context.credentials.awsAccessKeyId,
      AWS_SECRET_ACCESS_KEY: context.credentials.awsSecretAccessKey,
      AWS_ENDPOINT_URL_IOT_DATA_PLANE: endpoint,
    })
    const ca = await readFile(authority.certificateFile)
    for (let number = 0; number < 3; number += 1) {
      const id = uuidv7()
      const files = await authority.clientCertificate(`device-${id}`, id, 'device')
      const [cert, key] = [await readFile(files.certificateFile), await readFile(files.keyFile)]
      const session = await connectAsync(mqtt.url, { clientId: id, ca, cert, key })
      services.defer(() => session.endAsync(true))
      const heard: string[] = []
      session.on('message', (topic, payload, { qos }) => heard.push(`${qos} ${topic} ${payload}`))
      await session.subscribeAsync(deviceTopics.allDown(id), { qos: 1 })
      listeners.push({ id, session, heard })
    }
  })
  after(() => services.disposeAsync())

  const open = (clock = new ManualClock()) => {
    const warnings: { msg: string; failed: number; of: number; dropped?: number; err?: { message: string } }[] = []
    const sink = new Writable({
      write: (line, _, done) => {
        warnings.push(JSON.parse(`${line}`))
        done()
      },
    })
    const metrics = createNodeMetrics()
    const channel = new IotNoticeChannel(clock.monotonic, { metrics, logger: pino({ level: 'warn' }, sink) })
    const sent = () => Number(prometheusText([metrics.notices]).trimEnd().split(' ').at(-1))
    return { channel, warnings, sent, clock }
  }
  const strangers = (count: number) => Array.from({ length: count }, () => uuidv7())

  test('a large set reaches every device once, with QoS 1 and on its own topic', async () => {
    const { channel, warnings, sent } = open()
    await using _ = channel
    channel.notify([...strangers(150), ...listeners.map(({ id }) => id), ...strangers(150)], { kind: 'work', attempt })
    await until(() => listeners.every(({ heard }) => heard.length > 0) && sent() === 303)
    for (const { id, heard } of listeners) {
      assert.deepEqual(heard.splice(0), [
        `1 ${deviceTopics.down(id, 'work')} ${JSON.stringify({ kind: 'work', attempt })}`,
      ])
    }
    assert.deepEqual(warnings, [])
  })

  test('what cannot be published is reported once a batch, and the next batch goes out', async () => {
    const { channel, warnings, sent } = open()
    await using _ = channel
    // A topic with a wildcard is refused by the endpoint.
    channel.notify(['+', '#', '+', ...listeners.map(({ id }) => id)], { kind: 'settled', attempt })
    await until(() => warnings.length > 0)
    assert.deepEqual(
      warnings.map(({ failed, of }) => [failed, of]),
      [[3, 6]],
    )
    assert.match(warnings[0]?.err?.message ?? '', /wildcard/)
    channel.notify(
      listeners.map(({ id }) => id),
      { kind: 'revoked' },
    )
    await until(() => sent() === 3 && listeners.every(({ heard }) => heard.length === 2))
    for (const { heard } of listeners) heard.splice(0)
    assert.equal(warnings.length, 1)
  })

  test('an endpoint that is away costs notices and one line in the log, nothing else', async () => {
    process.env.AWS_ENDPOINT_URL_IOT_DATA_PLANE = 'http://127.0.0.1:9'
    const { channel, warnings } = open()
    await using _ = channel
    channel.notify(strangers(100), { kind: 'work', attempt })
    await until(() => warnings.length > 0)
    process.env.AWS_ENDPOINT_URL_IOT_DATA_PLANE = endpoint
    assert.deepEqual(
      warnings.map(({ failed, of }) => [failed, of]),
      [[100, 100]],
    )
  })

  test('notices that waited for ten seconds are given up, and what waits is bounded', async () => {
    const { channel, warnings, clock, sent } = open()
    {
      await using _ = channel
      channel.notify(strangers(100), { kind: 'work', attempt })
      clock.advance(10_000)
      await until(() => warnings.length > 0)
      // 32 were under way.
      assert.deepEqual([sent(), warnings[0]?.failed], [32, 68])
      channel.notify(strangers(100_050), { kind: 'work', attempt })
      assert.deepEqual(warnings[1]?.dropped, 50)
    }
    assert.equal(warnings.length, 2, 'closing is no failure')
  })
})
