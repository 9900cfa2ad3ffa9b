import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, suite, test } from 'node:test'
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane'
import { openCertificateAuthority } from '@tributary/local-stack/services/certificate-authority'
import { startIotData } from '@tributary/local-stack/services/iot-data/iot-data'
import { startMqtt } from '@tributary/local-stack/services/mqtt/mqtt'
import { testContext } from '@tributary/local-stack/services/testing'
import { connectAsync } from 'mqtt'
import { systemClock } from '../adapters/clock.ts'
import { IotDeviceLine } from '../adapters/iot-device-line.ts'
import { testApi, testParts, tokens } from '../testing/test-api.ts'
import { createRequest, createTestAuthority } from '../testing/test-certificates.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { fileCertificateAuthority } from './certificate-authority.ts'
import { fleetHandlers } from './fleet-handlers.ts'

const token = tokens.operator

suite('commands to devices', { timeout: 60_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let api: ReturnType<typeof testApi>
  let broken: ReturnType<typeof testApi>
  let device: string
  let subscribe: () => ReturnType<typeof connectAsync>
  before(async () => {
    db = resources.use(await startTestDatabase())
    const files = resources.use(await createTestAuthority())
    const context = resources.use(await testContext())
    const brokers = await openCertificateAuthority(context.folders.state)
    const mqtt = resources.use(await startMqtt(brokers, context))
    const service = resources.use(await startIotData(brokers, mqtt, context))
    const lineTo = (endpoint: string) => {
      const credentials = {
        accessKeyId: context.credentials.awsAccessKeyId,
        secretAccessKey: context.credentials.awsSecretAccessKey,
      }
      const client = new IoTDataPlaneClient({ endpoint, region: 'local', credentials, maxAttempts: 1 })
      resources.defer(() => client.destroy())
      return new IotDeviceLine(client)
    }
    const authority = fileCertificateAuthority(files.config, systemClock)
    const apiWith = (line: IotDeviceLine) =>
      testApi('fleet', fleetHandlers({ ...testParts(db.database), authority, line }), { database: db.database })
    api = apiWith(lineTo(service.url))
    broken = apiWith(lineTo('http://127.0.0.1:9'))
    await api('POST', '/v1/regions', { token: tokens.admin, body: { region: 'alps' } })
    const { csr } = await createRequest()
    const body = { region: 'alps', label: 'd-1', csr }
    device = (await api('POST', '/v1/devices', { token: tokens.admin, body })).body.id
    const node = (
      await api('POST', '/v1/regional-nodes', {
        token: tokens.admin,
        body: { region: 'alps', name: 'n', csr: (await createRequest()).csr, hostnames: ['localhost'] },
      })
    ).body.id
    await db.sql`update regional_node set boot = id`
    await db.sql`update region_shard set node = ${node}, epoch = 1, lease_expires_at = now() + interval '1 hour'`
    await db.sql`
      insert into device_presence (device, node, boot, region, shard, epoch, online, seen_at, agent_version, frameworks,
        dataset_names, datasets, conditions)
      values (${device}, ${node}, ${node}, 'alps', 0, 1, true, now(), '0.1.0', '{}', '{}', '[]', '{}')`
    subscribe = async () => {
      const own = await brokers.clientCertificate('device', device, 'device')
      const agent = await connectAsync(mqtt.url, {
        clientId: device,
        ca: await readFile(brokers.certificateFile),
        cert: await readFile(own.certificateFile),
        key: await readFile(own.keyFile),
      })
      await agent.subscribeAsync(`fl/v1/d/${device}/down/+`, { qos: 1 })
      return agent
    }
  })
  after(() => resources.disposeAsync())

  const send = (kind: string, options: Parameters<typeof api>[2] = {}, through = api) =>
    through('POST', `/v1/devices/${device}/commands`, { token, body: { kind }, ...options })
  const audited = async () => (await db.sql`select detail from audit_entry where action = 'device.command-sent'`).length

  test('reach the device over the real broker, once for each key, and are written down', async () => {
    const agent = await subscribe()
    const heard: string[] = []
    const two = new Promise<void>(resolve =>
      agent.on('message', (topic, payload) => {
        heard.push(`${topic} ${payload}`)
        if (heard.length === 2) resolve()
      }),
    )
    const key = 'one-command-once'
    const first = await send('check-in', { key })
    assert.equal(first.status, 202, JSON.stringify(first.body))
    assert.deepEqual([first.body.device, first.body.kind], [device, 'check-in'])
    assert.deepEqual((await send('check-in', { key })).body, first.body)
    await send('send-status')
    await two
    await agent.endAsync()
    const topic = `fl/v1/d/${device}/down/command`
    assert.deepEqual(heard, [`${topic} {"kind":"check-in"}`, `${topic} {"kind":"send-status"}`])
    const rows =
      await db.sql`select actor, subject, detail from audit_entry where action = 'device.command-sent' order by sequence`
    assert.deepEqual(
      [...rows],
      ['check-in', 'send-status'].map(kind => ({
        actor: 'token:operator',
        subject: `device/${device}`,
        detail: { kind },
      })),
    )
  })

  test('that the broker did not take leave no trace and may be sent again', async () => {
    const before = await audited()
    const key = 'a-command-that-fails'
    assert.equal((await send('check-in', { key }, broken)).body.code, 'UNAVAILABLE')
    assert.equal(await audited(), before)
    assert.equal((await send('check-in', { key })).status, 202)
    assert.equal(await audited(), before + 1)
  })

  test('are refused for a device that is offline, revoked or unknown, of kinds unknown, and for viewers', async () => {
    assert.equal((await send('rm -rf', {})).body.code, 'BODY_INVALID')
    assert.equal((await send('check-in', { token: tokens.viewer })).body.code, 'FORBIDDEN')
    const unknown = '01890a5d-ac96-774b-bcce-b302099a8057'
    const nobody = await api('POST', `/v1/devices/${unknown}/commands`, { token, body: { kind: 'check-in' } })
    assert.equal(nobody.body.code, 'NOT_FOUND')
    await db.sql`update region_shard set lease_expires_at = now()`
    const offline = await send('check-in')
    assert.deepEqual([offline.status, offline.body.code], [409, 'DEVICE_OFFLINE'])
    await api('POST', `/v1/devices/${device}/revoke`, { token: tokens.admin })
    assert.equal((await send('check-in')).body.code, 'CERTIFICATE_REVOKED')
  })
})
