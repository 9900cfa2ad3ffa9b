import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canDerive, DerivedMetric } from './evaluation-metrics.ts'
import { StopConditions } from './stop-conditions.ts'

const loss = 'softmax-cross-entropy'

test('a value can be had where a metric that it is of fits the loss and is asked for', () => {
  assert.ok(canDerive('f1Macro', { loss }))
  assert.ok(canDerive('f1Macro', { loss, metrics: ['confusion'] }))
  assert.ok(!canDerive('f1Macro', { loss, metrics: ['auc'] }))
  assert.ok(!canDerive('rmse', { loss }))
  assert.ok(canDerive('r2', { loss: 'huber' }))
  assert.ok(!canDerive('perplexity', { loss: 'sigmoid-binary-cross-entropy' }))
})

test('the loss and what is cheap can be had in any case', () => {
  assert.ok(canDerive('loss', { loss, metrics: [] }))
  assert.ok(canDerive('accuracy', { loss, metrics: [] }))
  assert.ok(canDerive('mae', { loss: 'huber', metrics: ['r2'] }))
  assert.ok(!canDerive('accuracy', { loss: 'huber' }))
})

test('stop conditions name any value', () => {
  for (const metric of DerivedMetric.options) assert.ok(StopConditions.parse({ target: { metric, value: 1 } }))
  assert.ok(!StopConditions.safeParse({ target: { metric: 'recall_macro', value: 1 } }).success)
})
