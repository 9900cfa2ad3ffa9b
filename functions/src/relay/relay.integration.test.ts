import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { amqpTopology } from '@tributary/contracts/amqp'
import { regionCommands } from '@tributary/contracts/commands'
import { parseMessage } from '@tributary/contracts/envelope'
import { startRabbit } from '@tributary/local-stack/services/rabbitmq/rabbitmq'
import { testContext } from '@tributary/local-stack/services/testing'
import { type Channel, connect } from 'amqplib'
import { uuidV7Ids } from '../adapters/ids.ts'
import { createLog } from '../log.ts'
import { startTcpProxy } from '../testing/tcp-proxy.ts'
import { testParts } from '../testing/test-api.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { BrokerConnection } from './broker-connection.ts'
import { relayOutbox } from './relay-outbox.ts'

const log = createLog('silent', 'test')
const region = 'alps'

suite('the relay', { timeout: 180_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let channel: Channel
  let proxy: Awaited<ReturnType<typeof startTcpProxy>>
  let brokerUrl: string
  let queue: string
  before(async () => {
    db = resources.use(await startTestDatabase())
    const rabbit = resources.use(await startRabbit(resources.use(await testContext())))
    const url = new URL(rabbit.url)
    proxy = resources.use(await startTcpProxy(Number(url.port)))
    url.port = String(proxy.port)
    brokerUrl = url.href
    const connection = await connect(rabbit.url)
    resources.defer(() => connection.close())
    channel = await connection.createChannel()
  })
  after(() => resources.disposeAsync())

  const open = () => new BrokerConnection({ url: brokerUrl, log })
  const relay = (broker: BrokerConnection, seconds = 30) =>
    relayOutbox({ database: db.database, broker, log }, AbortSignal.timeout(seconds * 1000))
  const append = (count: number) =>
    db.database.transaction(async sql => {
      const { outbox } = testParts(db.database)
      const devices = Array.from({ length: count }, () => uuidV7Ids.next())
      for (const device of devices) await outbox.appendCommand(sql, region, 'device.revoked', { device })
      return devices
    })
  const unsent = async () => (await db.sql`select from outbox where sent_at is null`).length
  const received = async (): Promise<string[]> => {
    const devices: string[] = []
    for (;;) {
      const delivery = await channel.get(queue, { noAck: true })
      if (!delivery) return devices
      const parsed = parseMessage(regionCommands, delivery.content)
      assert.ok(parsed.ok)
      assert.equal(delivery.properties.messageId, parsed.message.id)
      devices.push((parsed.message.data as { device: string }).device)
    }
  }
  beforeEach(async () => {
    await db.sql`delete from outbox`
    await using broker = open()
    await broker.channel()
    const { queue: name, options, bindings } = amqpTopology.commandsQueue(uuidV7Ids.next(), region)
    queue = name
    await channel.assertQueue(queue, options)
    for (const { exchange, routingKey } of bindings) await channel.bindQueue(queue, exchange, routingKey)
  })

  test('a broker whose queues are others than ours is not left with a connection a try', async () => {
    const { centralEvents } = amqpTopology
    await channel.deleteQueue(centralEvents.queue)
    await channel.assertQueue(centralEvents.queue, { durable: false, exclusive: true })
    await using broker = open()
    for (let tries = 0; tries < 3; tries += 1) await assert.rejects(broker.channel(), /PRECONDITION|RESOURCE_LOCKED/)
    const deadline = Date.now() + 5000
    while (proxy.connections() > 0) {
      assert.ok(Date.now() < deadline, `${proxy.connections()} connections are open`)
      await setTimeout(20)
    }
    await channel.deleteQueue(centralEvents.queue)
  })

  test('sends everything in order, over several batches, once', async () => {
    await using broker = open()
    const devices = await append(450)
    assert.equal(await relay(broker), 450)
    assert.equal(await unsent(), 0)
    assert.deepEqual(await received(), devices)
    assert.equal(await relay(broker), 0)
  })

  test('counts a message that no queue takes as sent', async () => {
    await channel.deleteQueue(queue)
    await using broker = open()
    await append(1)
    assert.equal(await relay(broker), 1)
    assert.equal(await unsent(), 0)
  })

  test('sends each message once when two relays run at once', async () => {
    await using one = open()
    await using two = open()
    const devices = await append(300)
    const counts = await Promise.all([relay(one), relay(two)])
    assert.equal((counts[0] ?? 0) + (counts[1] ?? 0), 300)
    assert.deepEqual((await received()).toSorted(), devices.toSorted())
  })

  test('goes on with a new connection after the old one was cut', async () => {
    await using broker = open()
    await append(1)
    await relay(broker)
    proxy.cut()
    const devices = await append(2)
    assert.equal(await relay(broker), 2)
    assert.deepEqual((await received()).slice(1), devices)
  })

  test('gives a silent connection up and sends again by another one', async () => {
    await using broker = open()
    await append(1)
    await relay(broker)
    await received()
    proxy.silence()
    const devices = await append(2)
    assert.equal(await relay(broker), 2)
    assert.deepEqual(await received(), devices)
  })

  test('keeps the rows when the broker cannot be reached before its time is over', async () => {
    await using broker = new BrokerConnection({ url: 'amqp://guest:guest@127.0.0.1:1', log })
    await append(3)
    await assert.rejects(relay(broker, 1), /ECONNREFUSED/)
    assert.equal(await unsent(), 3)
  })

  test('declares the queue of central with the arguments that its consumer expects', async () => {
    const { centralEvents, deadLetterQueue } = amqpTopology
    for (const { queue: name, options } of [centralEvents, deadLetterQueue]) {
      await channel.checkQueue(name)
      await channel.assertQueue(name, options)
    }
  })
})
