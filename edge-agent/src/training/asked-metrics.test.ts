import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askedMetrics } from './asked-metrics.ts'

const loss = 'softmax-cross-entropy'

test('by default all is found that fits the loss, perplexity only of sequences', () => {
  const classes = ['loss', 'accuracy', 'top-5', 'f1', 'confusion', 'auc']
  assert.deepEqual(askedMetrics(['default'], loss, true), [...classes, 'perplexity-of-sequences'])
  assert.deepEqual(askedMetrics(['default'], 'huber', true), ['loss', 'mae', 'rmse', 'r2'])
})

test('a list is taken at its word, without what does not fit or is not known here', () => {
  assert.deepEqual(askedMetrics(['perplexity', 'rmse', 'later-metric', 'auc'], loss, true), ['auc', 'perplexity'])
  assert.deepEqual(askedMetrics([], loss, true), [])
})

test('where labels may not be told, nothing is found that tells of them', () => {
  const left = ['loss', 'accuracy', 'top-5', 'perplexity-of-sequences']
  assert.deepEqual(askedMetrics(['default'], loss, false), left)
  assert.deepEqual(askedMetrics(['f1', 'r2', 'rmse'], 'mean-squared-error', false), ['rmse'])
})
