import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { amqpLimits, amqpNames } from '@tributary/contracts/amqp'
import { type ChannelModel, type ConfirmChannel, connect, type Options } from 'amqplib'
import { startRabbit } from '../services/rabbitmq/rabbitmq.ts'
import { testContext } from '../services/testing.ts'
import { QueueSource } from './queue-source.ts'
import { fixtureSpec, temporaryFolder, testPool, until } from './testing.ts'

/** Writes each event as a line; fails for as long as a message says so, and always for poison. */
const source = `
import { appendFileSync } from 'node:fs'
let failed = 0
export const handler = async event => {
  appendFileSync(process.env.EVENTS, JSON.stringify(event) + '\\n')
  const texts = Object.values(event.rmqMessagesByQueue).flat().map(message => atob(message.data))
  if (texts.includes('poison')) throw new Error('poison')
  if (texts.includes('once') && failed++ === 0) throw new Error('not yet')
}
`

interface Delivered {
  readonly basicProperties: Record<string, unknown>
  readonly redelivered: boolean
  readonly data: string
}

let stack: AsyncDisposableStack
let rabbit: Awaited<ReturnType<typeof startRabbit>>
let connection: ChannelModel
let channel: ConfirmChannel
let file: string
const trouble: string[] = []

before(async () => {
  stack = new AsyncDisposableStack()
  file = join(stack.use(await temporaryFolder()).path, 'events')
  rabbit = await startRabbit(stack.use(await testContext()))
  stack.use(rabbit)
  const { pool } = stack.use(
    await testPool({ source, spec: { ...fixtureSpec, concurrency: 1 }, environment: { EVENTS: file } }),
  )
  const options = { amqpUrl: rabbit.url, pool, batchSize: 20, region: 'eu-central-1' }
  const queueSource = stack.use(new QueueSource({ ...options, onTrouble: message => trouble.push(message) }))
  await queueSource.connected
  connection = stack.adopt(await connect(rabbit.url), opened => opened.close())
  channel = await connection.createConfirmChannel()
})
after(() => stack.disposeAsync())

async function publish(texts: readonly string[], options: Options.Publish = {}): Promise<void> {
  for (const text of texts) channel.publish(amqpNames.events, 'shard.summed', Buffer.from(text), options)
  await channel.waitForConfirms()
}

function batches(): Delivered[][] {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  return lines.filter(Boolean).map(line => JSON.parse(line).rmqMessagesByQueue['central.events::/'])
}

const textOf = ({ data }: Delivered) => Buffer.from(data, 'base64').toString()
const seen = () => batches().flat().map(textOf)
const waiting = async () => (await channel.checkQueue(amqpNames.centralEvents)).messageCount

test('a message reaches the function in the form of the event source, and is acknowledged', async () => {
  await publish(['größe'], { messageId: 'm-1', contentType: 'application/json', type: 't', headers: { a: 'x', n: 3 } })
  await until(() => seen().includes('größe'))
  const event = JSON.parse(readFileSync(file, 'utf8').split('\n')[0] ?? '')
  assert.equal(event.eventSource, 'aws:rmq')
  const [delivered] = batches().flat()
  assert.equal(delivered?.redelivered, false)
  const { messageId, contentType, type, headers, bodySize, deliveryMode, timestamp } = delivered.basicProperties
  assert.deepEqual(
    { messageId, contentType, type, headers, bodySize, deliveryMode, timestamp },
    {
      messageId: 'm-1',
      contentType: 'application/json',
      type: 't',
      headers: { a: { bytes: [0x78] }, n: 3 },
      bodySize: 7,
      deliveryMode: null,
      timestamp: null,
    },
  )
  await until(async () => (await waiting()) === 0)
})

test('many messages come in batches of at most the batch size, each once, in order', async () => {
  const texts = Array.from({ length: 70 }, (_, place) => `n-${place}`)
  await publish(texts)
  await until(() => seen().includes('n-69'))
  assert.deepEqual(
    seen().filter(text => text.startsWith('n-')),
    texts,
  )
  assert.ok(batches().every(batch => batch.length <= 20))
  assert.ok(batches().some(batch => batch.length > 1))
})

test('a failed batch comes again and is told', async () => {
  await publish(['once'])
  await until(() => seen().filter(text => text === 'once').length === 2)
  assert.equal(
    batches()
      .flat()
      .filter(delivered => textOf(delivered) === 'once')
      .at(-1)?.redelivered,
    true,
  )
  assert.match(trouble.join('\n'), /1 events go back to central.events: Error .*not yet/)
})

test('a message that always fails ends in the dead letters after the delivery limit', async () => {
  await publish(['poison'])
  await until(async () => (await channel.checkQueue(amqpNames.deadLetterQueue)).messageCount === 1, 60)
  const dead = await channel.get(amqpNames.deadLetterQueue, { noAck: true })
  assert.ok(dead)
  assert.equal(dead.content.toString(), 'poison')
  const deliveries = seen().filter(text => text === 'poison').length
  assert.ok(Math.abs(deliveries - amqpLimits.deliveryLimit) <= 1, `${deliveries} deliveries`)
})

test('it consumes again after the broker has cut its connection', async () => {
  const authorization = `Basic ${Buffer.from(`${rabbit.user}:${rabbit.password}`).toString('base64')}`
  const api = `${rabbit.managementUrl}/api`
  const consumers = async () => {
    const answer = await fetch(`${api}/consumers/%2F`, { headers: { authorization } })
    return (await answer.json()) as { channel_details: { connection_name?: string } }[]
  }
  await until(async () => (await consumers())[0]?.channel_details.connection_name !== undefined, 20)
  const name = (await consumers())[0]?.channel_details.connection_name ?? ''
  const cut = await fetch(`${api}/connections/${encodeURIComponent(name)}`, {
    method: 'DELETE',
    headers: { authorization },
  })
  assert.equal(cut.status, 204)
  await publish(['after the cut'])
  await until(() => seen().includes('after the cut'), 20)
  assert.match(trouble.join('\n'), /RabbitMQ event source: /)
})
