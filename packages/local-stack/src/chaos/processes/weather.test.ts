import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TcpProxy } from '@tributary/regional-node/testing/tcp-proxy'
import type { Draw } from '../explorer/draw.ts'
import { weatherOf } from './weather.ts'

/** Always the first, the least, and yes. */
const draw = { between: (least: number) => least, chance: () => true, oneOf: (list: readonly unknown[]) => list[0] }

test('one side of the nodes has one bad spell at a time, and none that begins after the task', async () => {
  await using opened = new AsyncDisposableStack()
  const open = async () => opened.use(await TcpProxy.open(9))
  const links = [{ devices: await open(), broker: await open(), central: await open() }] as const
  const ended = Promise.withResolvers<void>()
  const spells = weatherOf({ links, clocks: { nodes: [], agents: [] } }, draw as unknown as Draw, () => ended.promise)
  const begin = async (name: string) => await spells[name]?.()
  const counts = Promise.all(['devices: delay', 'devices: cut', 'broker: slow'].map(name => begin(`link to ${name}`)))
  await new Promise(setImmediate)
  const [{ devices, broker, central }] = links
  assert.deepEqual(
    [devices, broker, central].map(({ fault }) => fault?.kind),
    ['delay', 'slow', undefined],
  )
  // What came upon the link is of the spell that it has.
  devices.faults += 2
  ended.resolve()
  assert.deepEqual(await counts, [2, 0, 0])
  assert.deepEqual([devices.fault, broker.fault], [undefined, undefined])
})
