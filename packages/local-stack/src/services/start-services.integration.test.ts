import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { processAlive } from '../processes/process-group.ts'
import { findBusyPorts } from '../settings/busy-ports.ts'
import type { StackPorts } from '../settings/ports.ts'
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

const supervisor = `
const { testContext } = await import(${JSON.stringify(new URL('./testing.ts', import.meta.url).href)})
const { startBackingServices } = await import(${JSON.stringify(new URL('./start-services.ts', import.meta.url).href)})
const context = await testContext()
const services = await startBackingServices(context)
const pids = Object.values(services).flatMap(service => service.processIds?.() ?? [])
console.log(JSON.stringify({ pids, ports: context.ports, state: context.folders.state }))
setInterval(() => {}, 1000)
`

test('a supervisor killed without warning leaves no service behind', { timeout: 120_000 }, async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', supervisor], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const { pids, ports, state } = JSON.parse(line) as { pids: number[]; ports: StackPorts; state: string }
  assert.equal(pids.length, 8)
  child.kill('SIGKILL')
  const end = Date.now() + 15_000
  while (Date.now() < end && (pids.some(processAlive) || (await findBusyPorts(ports)).length > 0)) await delay(100)
  assert.deepEqual(pids.filter(processAlive), [])
  assert.deepEqual(await findBusyPorts(ports), [])
  await rm(join(state, '..', '..'), { recursive: true })
})

test('a port that another program holds is named before anything starts', async () => {
  await using context = await testContext()
  const server = createServer().listen(context.ports.mqtt, '127.0.0.1')
  await once(server, 'listening')
  await assert.rejects(startBackingServices(context), new RegExp(`port ${context.ports.mqtt} \\(MQTT\\) is in use`))
  assert.deepEqual(context.reports, [])
  server.close()
})
