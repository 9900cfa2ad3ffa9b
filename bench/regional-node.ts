/**
 * What a regional node carries, beside a peer in the same run:
 *
 *   node bench/regional-node.ts [--long] [--only throughput,idle,resident,large] [--load '40 KB,400 KB,4 MB'] [--cpu-prof FOLDER]
 *
 * The node is a process as it is shipped, with mutual TLS, validation and its durable log; object storage, RabbitMQ and MQTT
 * are those of one machine, central is the one of the node's tests; the merge of a round is central's own code, through the same object
 * storage, without the transaction of the database behind it. MB and KB are 10^6 and 10^3 bytes. Devices are simulated in a process of their own, each with its certificate and a connection that it keeps: what
 * they send was prepared, and they speak HTTP/2 without a gRPC library, to leave the cores to the node. The peer is a bare grpc-js
 * server with the same TLS that counts bytes. `--long` takes the numbers of devices that the limits are about; the short form a part of
 * them. Exit code 1 where a limit is missed. CPU time is steadier than the clock on a machine that does other things.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureIdle, measureLarge, measureResident } from './regional-node/memory.ts'
import { Stage } from './regional-node/stage.ts'
import { Table } from './regional-node/table.ts'
import { type Load, measureThroughput } from './regional-node/throughput.ts'

const { values: options } = parseArgs({
  options: {
    long: { type: 'boolean', default: false },
    only: { type: 'string', default: 'throughput,idle,resident,large' },
    load: { type: 'string', default: '40 KB,400 KB,4 MB' },
    'cpu-prof': { type: 'string' },
  },
})
const parts = new Set(options.only.split(','))
const wanted = new Set(options.load.split(','))
const nodeOptions = options['cpu-prof'] === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', options['cpu-prof']]
const size = (short: number, long: number): number => (options.long ? long : short)
const loads: readonly Load[] = [
  { name: '40 KB', values: 10_000, perSecond: 1000, devices: size(300, 1000), rounds: size(3, 5) },
  { name: '400 KB', values: 100_000, perSecond: 250, devices: size(200, 1000), rounds: size(2, 3) },
  { name: '4 MB', values: 1_000_000, perSecond: 40, devices: size(50, 200), rounds: size(2, 3) },
]
const tellLoad = (): void =>
  console.log(
    `load ${loadavg()
      .map(value => value.toFixed(1))
      .join(' ')} on ${availableParallelism()} cores`,
  )

const [code] = await once(
  spawn(process.execPath, ['build.ts'], {
    cwd: join(import.meta.dirname, '..', 'regional-node'),
    stdio: 'inherit',
  }),
  'exit',
)
if (code !== 0) throw new Error('the node cannot be built')
await using stage = await Stage.open()
const table = new Table()
tellLoad()
if (parts.has('throughput')) {
  table.title('Throughput')
  for (const load of loads.filter(({ name }) => wanted.has(name)))
    await measureThroughput(stage, load, table, nodeOptions)
}
if (parts.has('idle')) {
  table.title('Idle devices')
  await measureIdle(stage, size(1000, 10_000), table, nodeOptions)
}
if (parts.has('resident')) {
  table.title('Memory')
  await measureResident(stage, options.long ? [10, 100, 1000] : [10, 100], table, nodeOptions)
}
if (parts.has('large') && options.long) {
  table.title('A large model')
  await measureLarge(stage, 8, table, nodeOptions)
}
tellLoad()
if (table.missed > 0) {
  console.log(`${table.missed} limits missed`)
  process.exitCode = 1
}
