import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { BusyPortsError, findBusyPorts } from './busy-ports.ts'
import { maxRegions, portTable, stackPorts } from './ports.ts'

test('without a base the ports are those that everyone knows', () => {
  const ports = stackPorts({ regions: 2, agents: 3 })
  assert.deepEqual(
    [ports.postgres, ports.redis, ports.amqp, ports.mqtt, ports.objectStorage],
    [5432, 6379, 5672, 1883, 9000],
  )
  assert.deepEqual(
    [ports.nodeGrpc, ports.nodeMetrics, ports.agentInference],
    [
      [8100, 8101],
      [8200, 8201],
      [10_100, 10_101, 10_102],
    ],
  )
})

test('a base moves every port by its own offset, and no two are the same', () => {
  for (const portBase of [undefined, 20_000]) {
    const ports = stackPorts({ portBase, regions: maxRegions, agents: 1001 })
    const { nodeGrpc, nodeMetrics, agentInference, ...single } = ports
    const all = [...Object.values(single), ...nodeGrpc, ...nodeMetrics, ...agentInference]
    assert.equal(new Set(all).size, all.length)
  }
  const ports = stackPorts({ portBase: 20_000, regions: 2, agents: 2 })
  assert.deepEqual([ports.postgres, ports.api, ports.objectStorage, ports.epmd], [20_000, 20_001, 20_008, 20_014])
  assert.deepEqual(
    [ports.nodeGrpc, ports.nodeMetrics, ports.agentInference],
    [
      [20_020, 20_021],
      [20_060, 20_061],
      [20_100, 20_101],
    ],
  )
})

test('wrong bases and too many regions are refused', () => {
  for (const portBase of [0, 80, 65_500, 1.5, Number.NaN])
    assert.throws(() => stackPorts({ portBase, regions: 1 }), RangeError)
  assert.throws(() => stackPorts({ portBase: 65_000, regions: 1, agents: 500 }), RangeError)
  for (const regions of [0, 41, 1.5]) assert.throws(() => stackPorts({ regions }), RangeError)
})

test('a busy port is named with its service and the option that moves it', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address && typeof address === 'object')
  const ports = { ...stackPorts({ portBase: 40_000, regions: 1 }), mqtt: address.port }
  const busy = (await findBusyPorts(ports)).filter(({ port }) => port === address.port)
  assert.match(new BusyPortsError(busy).message, new RegExp(`port ${address.port} \\(MQTT\\) is in use.*--port-base`))
  const elsewhere = new Set(Object.keys(portTable) as (keyof typeof portTable)[])
  assert.deepEqual(await findBusyPorts({ ...ports, nodeGrpc: [], nodeMetrics: [] }, elsewhere), [])
  server.close()
})
