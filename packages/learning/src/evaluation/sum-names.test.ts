import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isEvaluationSum, mostSumNames } from './sum-names.ts'

test('sums of evaluations are known by name, and others are not', () => {
  const known = ['examples', 'loss_q20', 'squared_error_q20_carry', 'true_positive', 'confusion_0_0', 'confusion_31_31']
  const more = ['actual_0', 'predicted_999', 'agreed_10', 'score_positive_255', 'score_negative_0']
  for (const name of [...known, ...more]) assert.ok(isEvaluationSum(name), name)
  const others = ['steps', 'confusion_0', 'confusion_32_0', 'confusion_0_32', 'confusion_00_1', 'actual_1000']
  for (const name of [...others, 'actual_01', 'actual_1_2', 'score_positive_256', 'score_0', '__proto__', ''])
    assert.ok(!isEvaluationSum(name), name)
})

test('the number of known names is what a total must hold', () => {
  let families = 0
  for (let a = 0; a < 100; a++) for (let p = 0; p < 100; p++) if (isEvaluationSum(`confusion_${a}_${p}`)) families += 1
  for (const kind of ['actual', 'predicted', 'agreed', 'score_positive', 'score_negative'])
    for (let index = 0; index < 9999; index++) if (isEvaluationSum(`${kind}_${index}`)) families += 1
  assert.equal(families, 32 ** 2 + 3 * 1000 + 2 * 256)
  assert.equal(mostSumNames, families + 22)
})
