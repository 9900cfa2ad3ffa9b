import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { IoTDataPlaneClient, PublishCommand } from '@aws-sdk/client-iot-data-plane'
import { connectAsync } from 'mqtt'
import { openCertificateAuthority } from '../certificate-authority.ts'
import { startMqtt } from '../mqtt/mqtt.ts'
import { testContext } from '../testing.ts'
import { startIotData } from './iot-data.ts'

test('a notice that the real IoT client publishes reaches the device, and a wrong key or topic is refused', async () => {
  await using context = await testContext()
  const authority = await openCertificateAuthority(context.folders.state)
  await using mqtt = await startMqtt(authority, context)
  await using service = await startIotData(authority, mqtt, context)
  const files = await authority.clientCertificate('device', 'd-1', 'device')
  const agent = await connectAsync(mqtt.url, {
    clientId: 'd-1',
    ca: await readFile(authority.certificateFile),
    cert: await readFile(files.certificateFile),
    key: await readFile(files.keyFile),
  })
  await agent.subscribeAsync('fl/v1/d/d-1/down/+', { qos: 1 })
  const heard = new Promise<string[]>(resolve =>
    agent.once('message', (topic, payload) => resolve([topic, String(payload)])),
  )
  const credentials = {
    accessKeyId: context.credentials.awsAccessKeyId,
    secretAccessKey: context.credentials.awsSecretAccessKey,
  }
  const open = (secretAccessKey: string) =>
    new IoTDataPlaneClient({
      endpoint: service.url,
      region: 'local',
      credentials: { ...credentials, secretAccessKey },
      maxAttempts: 1,
    })
  const client = open(credentials.secretAccessKey)
  const notice = { topic: 'fl/v1/d/d-1/down/work', qos: 1, payload: Buffer.from('{"kind":"work"}') }
  await client.send(new PublishCommand(notice))
  assert.deepEqual(await heard, ['fl/v1/d/d-1/down/work', '{"kind":"work"}'])
  await assert.rejects(open('wrong').send(new PublishCommand(notice)), { name: 'ForbiddenException' })
  await assert.rejects(client.send(new PublishCommand({ ...notice, topic: 'a/+/b' })), {
    name: 'InvalidRequestException',
  })
  await assert.rejects(client.send(new PublishCommand({ ...notice, payload: Buffer.alloc(200_000) })), {
    name: 'RequestEntityTooLargeException',
  })
  await assert.rejects(client.send(new PublishCommand({ ...notice, topic: 'fl/v1/d/d-1/up/status' })), {
    name: 'ForbiddenException',
  })
  assert.equal((await fetch(`${service.url}/topics/x?qos=1`, { method: 'POST', body: 'x' })).status, 403)
  await agent.endAsync()
  client.destroy()
})
