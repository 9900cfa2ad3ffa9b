import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChaos } from './run-chaos.ts'

test('killed nodes, agents, database and broker, a split brain and failing storage cost a task nothing', async context => {
  const least = {
    'failpoints armed': 2,
    'node dies at': 4,
    'node killed': 1,
    'agents killed': 1,
    'node stopped past its lease': 1,
    'database killed': 1,
    'broker killed': 1,
    'storage faults': 1,
  }
  const options = { seconds: 0, seed: 3, portBase: 35_000, rounds: 5, least }
  const { tasks, violations, table } = await runChaos(options, line => context.diagnostic(line), context.signal)
  context.diagnostic(`${tasks} tasks\n${table}`)
  assert.deepEqual(violations, [])
  for (const [fault, times] of Object.entries(least)) assert.ok(table.total(fault) >= times, `${fault}\n${table}`)
})
