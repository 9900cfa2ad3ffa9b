import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChaos } from './run-chaos.ts'

test('nodes killed, lost, stopped, torn or of two minds, database, broker and agents killed, failing storage: a task loses nothing', async context => {
  const least = {
    'node lost until the task ends': 1,
    'node stopped past its lease': 1,
    'split brain': 5,
    'torn write': 10,
    // Beside those of the crash tests of a shard.
    'node dies at': 4,
    'agents killed': 1,
    'database killed': 3,
    'broker killed': 2,
    'storage faults': 1,
    'link to devices: delay': 1,
    'link to devices: slow': 1,
    'link to devices: cut': 1,
    'link to devices: one-way': 1,
    'link to devices: corrupt': 1,
    'link to devices: duplicate': 1,
    'link to broker: delay': 1,
    'link to broker: slow': 1,
    'link to broker: cut': 1,
    'link to broker: one-way': 1,
    'link to central: delay': 1,
    'link to central: slow': 1,
    'link to central: cut': 1,
    'link to central: one-way': 1,
    'clock of a node is days off': 1,
    'clock of an agent is days off': 1,
  }
  // Below the ports that connections of this machine go out from.
  const options = { seconds: 0, seed: 3, portBase: 24_000, rounds: 5, least }
  const { tasks, violations, table, storage } = await runChaos(
    options,
    line => context.diagnostic(line),
    context.signal,
  )
  context.diagnostic(`${tasks} tasks\n${table}\n${storage}`)
  assert.deepEqual(violations, [])
  for (const [fault, times] of Object.entries(least)) assert.ok(table.total(fault) >= times, `${fault}\n${table}`)
})
