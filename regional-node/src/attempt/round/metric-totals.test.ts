import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MetricSums } from '@tributary/contracts/round'
import { MetricTotals, mostMetricNames } from './metric-totals.ts'

const sumMetrics = (all: readonly MetricSums[]): MetricSums => {
  const totals = new MetricTotals()
  for (const metrics of all) totals.add(metrics)
  return totals.sums
}

test('metrics are summed exactly beyond 2^53, by name', () => {
  const sums = sumMetrics([{ loss_q20: '9007199254740993', correct: '1' }, { loss_q20: '9007199254740993' }])
  assert.deepEqual(sums, { correct: '1', loss_q20: '18014398509481986' })
  assert.deepEqual(Object.keys(sums), ['correct', 'loss_q20'])
})

test('of more names than are held the first by the alphabet stay, whatever the order', () => {
  const all = Array.from({ length: 2 * mostMetricNames }, (_, i) => ({ [`m${`${i}`.padStart(4, '0')}`]: '1' }))
  const first = sumMetrics([...all, ...all])
  assert.deepEqual(sumMetrics([...all, ...all].reverse()), first)
  assert.equal(Object.keys(first).length, mostMetricNames)
  assert.deepEqual([first.m0000, first.m0255, first.m0256], ['2', '2', undefined])
  const mixed = new MetricTotals()
  for (const metrics of [...all].reverse()) for (const _ of [1, 2]) mixed.add(metrics)
  assert.deepEqual(mixed.sums, first)
})
