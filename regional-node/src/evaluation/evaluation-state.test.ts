import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EvaluationRecord } from './evaluation-records.ts'
import { EvaluationState } from './evaluation-state.ts'

const id = (number: number) => `01900000-0000-7000-8000-${`${number}`.padStart(12, '0')}`
const report = (number: number, correct: string): EvaluationRecord => ({
  kind: 'reported',
  device: id(number),
  metrics: { correct, examples: '10' },
})

test('a report counts at once, its metrics once it is durable, and nothing of it where it found no room', () => {
  const state = new EvaluationState()
  state.apply(report(1, '4'))
  state.apply(report(2, '5'))
  assert.deepEqual([state.reports, state.hasReported(id(1)), state.metrics], [2, true, {}])
  state.settle(report(1, '4'))
  state.revert(report(2, '5'))
  assert.deepEqual([state.reports, state.hasReported(id(2)), state.isHeardOf], [1, false, true])
  assert.deepEqual(state.metrics, { correct: '4', examples: '10' })
})

test('a device that cannot evaluate was heard of, and adds nothing', () => {
  const state = new EvaluationState()
  const failure: EvaluationRecord = { kind: 'failed', device: id(1), code: 'DATASET_UNUSABLE', detail: '' }
  state.apply(failure)
  state.settle(failure)
  assert.deepEqual([state.isHeardOf, state.reports, state.hasFailed(id(1)), state.metrics], [true, 0, true, {}])
  state.revert(failure)
  assert.deepEqual([state.isHeardOf, state.hasFailed(id(1))], [false, false])
})

test('100 000 reports of different metrics leave one sum, whose size is that of one report', () => {
  const state = new EvaluationState()
  for (let number = 0; number < 100_000; number += 1) {
    const record = report(number, '9007199254740993')
    state.apply(record)
    state.settle(record)
  }
  assert.equal(state.reports, 100_000)
  assert.deepEqual(state.metrics, { correct: '900719925474099300000', examples: '1000000' })
})
