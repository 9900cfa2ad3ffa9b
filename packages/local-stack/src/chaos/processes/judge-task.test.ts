import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FaultTable } from './fault-table.ts'
import { type JudgedTask, judgeTask } from './judge-task.ts'
import { StoragePlan } from './storage-plan.ts'
import { tellChaos } from './tell-chaos.ts'

const task = (modelSha256: string, accepted = 6, state: JudgedTask['state'] = 'completed'): JudgedTask => ({
  id: 'task',
  state,
  reason: null,
  history: [
    { round: 1, attempt: 1, state: 'abandoned', accepted: 5, modelSha256: null },
    { round: 1, attempt: 2, state: 'committed', accepted, modelSha256 },
  ],
})
const tell = (violations: readonly string[]) => {
  const table = new FaultTable()
  table.count('node killed', 'collecting', 2)
  table.count('link to devices: cut', 'committed', 3)
  table.count('node killed', 'closing')
  return tellChaos({ tasks: 1, violations, table, storage: new StoragePlan() }, 7)
}

test('a task that ends with the bytes of the undisturbed one is as it should be, and so is the run', () => {
  assert.deepEqual(judgeTask(task('aa'), 'aa'), [])
  const { text, exitCode } = tell([])
  assert.equal(exitCode, 0)
  assert.match(text, /1 tasks, 0 violations \(seed 7\)/)
  const rows = text.split('\n').map(line => line.trim().split(/ {2,}/))
  assert.deepEqual(
    rows.filter(([name]) => name === 'fault' || name === 'node killed' || name?.startsWith('link')),
    [
      ['fault', 'closing', 'collecting', 'committed'],
      ['link to devices: cut', '0', '0', '3'],
      ['node killed', '1', '2', '0'],
    ],
  )
})

test('an update that has a receipt and does not count makes other bytes: a violation that ends the run with 1', () => {
  // Five of six: what the sixth sent is hidden.
  const violations = judgeTask(task('bb', 5), 'aa')
  assert.deepEqual(violations, ['task task ends with bb; updates by attempt: 1/1 abandoned 5, 1/2 committed 5'])
  const { text, exitCode } = tell(violations)
  assert.equal(exitCode, 1)
  assert.match(text, /1 violations \(seed 7\)\n {2}task task ends with bb/)
})

test('a task that does not complete is a violation', () => {
  assert.equal(judgeTask(task('aa', 6, 'failed'), 'aa').length, 1)
})
