import assert from 'node:assert/strict'
import { test } from 'node:test'
import { processAlive } from '../processes/process-group.ts'
import { startBackingServices } from './start-services.ts'
import { testContext } from './testing.ts'

test('all backing services come up, a second start reuses what is there, and nothing is left', {
  timeout: 120_000,
}, async () => {
  await using context = await testContext()
  const pids: number[] = []
  let password = ''
  for (const round of [1, 2]) {
    await using services = await startBackingServices(context)
    const { postgres, rabbit, redis, upstashRest, objectStorage, mqtt, iotData } = services
    const all = [postgres, rabbit, redis, upstashRest, objectStorage, mqtt, iotData]
    for (const service of all) pids.push(...service.processIds())
    if (round === 1) password = services.credentials.postgresPassword
    assert.equal(services.credentials.postgresPassword, password)
  }
  assert.equal(context.reports.filter(report => report.kind === 'started').length, 14)
  assert.deepEqual(
    context.reports.filter(report => report.kind === 'ended'),
    [],
  )
  assert.deepEqual(pids.filter(processAlive), [])
})

test('when one service cannot start, the others are stopped and the fault names it', { timeout: 60_000 }, async () => {
  await using context = await testContext()
  const environment = { ...context.environment, amqpUrl: 'amqp://nobody:nothing@127.0.0.1:1' }
  await assert.rejects(startBackingServices({ ...context, environment }), /TRIBUTARY_AMQP_URL/)
  const started = context.reports.filter(report => report.kind === 'started').map(report => report.service)
  assert.equal(started.includes('RabbitMQ'), false)
})
