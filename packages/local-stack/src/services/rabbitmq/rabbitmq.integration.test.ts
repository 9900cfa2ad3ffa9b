import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from 'amqplib'
import { processAlive } from '../../processes/process-group.ts'
import { testContext } from '../testing.ts'
import { startRabbit } from './rabbitmq.ts'

test('RabbitMQ confirms to a quorum queue, keeps it over a restart, and leaves no process', {
  timeout: 120_000,
}, async () => {
  await using context = await testContext()
  const first = await startRabbit(context)
  const pids = first.processIds()
  {
    const connection = await connect(first.url)
    const channel = await connection.createConfirmChannel()
    await channel.assertQueue('orders', {
      durable: true,
      arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 3 },
    })
    channel.sendToQueue('orders', Buffer.from('one'), { persistent: true })
    await channel.waitForConfirms()
    await connection.close()
    const authorization = `Basic ${Buffer.from(`${first.user}:${first.password}`).toString('base64')}`
    const overview = await fetch(`${first.managementUrl}/api/overview`, { headers: { authorization } })
    assert.equal(overview.status, 200)
    assert.equal((await fetch(`${first.managementUrl}/api/overview`)).status, 401)
  }
  await first[Symbol.asyncDispose]()
  for (const pid of pids) assert.equal(processAlive(pid), false)
  await using again = await startRabbit(context)
  const connection = await connect(again.url)
  const channel = await connection.createChannel()
  const message = await channel.get('orders', { noAck: true })
  assert.equal((message || undefined)?.content.toString(), 'one')
  await connection.close()
  const wrong = again.url.replace(/:[0-9a-f]{48}@/, ':wrong@')
  await assert.rejects(async () => await connect(wrong), /ACCESS_REFUSED|403/)
})
