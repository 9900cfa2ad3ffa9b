import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resultOf } from './evaluation-result.ts'

test('accuracy and mean loss come from the sums', () => {
  // 3 of 4 right; 2^20 units of 2^-20 over 4 examples.
  assert.deepEqual(resultOf({ examples: '4', correct: '3', loss_q20: '1048576' }), {
    accuracy: 0.75,
    loss: 0.25,
    examples: 4,
  })
})

test('without examples there is neither accuracy nor loss', () => {
  assert.deepEqual(resultOf({ examples: '0', correct: '0', loss_q20: '0' }), {
    accuracy: null,
    loss: null,
    examples: 0,
  })
})

test('real-valued labels have a loss and no accuracy', () => {
  const result = resultOf({ examples: '2', loss_q20: '1048576', absolute_error_q20: '5' })
  assert.deepEqual(result, { accuracy: null, loss: 0.5, examples: 2 })
})
