import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { deriveMetrics } from './derive-metrics.ts'
import { scoreBin } from './score-histogram.ts'
import { wideEntries, wideSum } from './sums.ts'

const unit = 2 ** 20
const textOf = (sums: Readonly<Record<string, number | bigint>>): Record<string, string> =>
  Object.fromEntries(Object.entries(sums).map(([name, value]) => [name, `${value}`]))
const derive = (sums: Readonly<Record<string, number | bigint>>) => deriveMetrics(textOf(sums))

suite('values of the sums of an evaluation', () => {
  test('are accuracy and mean loss', () => {
    assert.deepEqual(derive({ examples: 8, correct: 6, loss_q20: 2 * unit }), { loss: 0.25, accuracy: 0.75 })
  })

  test('are null without examples, and missing where nobody sent what they are made of', () => {
    assert.deepEqual(deriveMetrics({}), { loss: null })
    const nothing = { examples: 0, correct: 0, loss_q20: 0, positions: 0, position_loss_q20: 0, confusion_0_0: 0 }
    const { loss, accuracy, perplexity, f1Macro, balancedAccuracy } = derive(nothing)
    assert.deepEqual([loss, accuracy, perplexity, f1Macro, balancedAccuracy], [null, null, null, null, null])
  })

  test('of confusion counts are means over classes, those that are nowhere left out', () => {
    // Rows are labels: class 0 [3, 1, 0], class 2 [0, 2, 2]; nobody has label 1, and class 3 is nowhere.
    const found = derive({ confusion_0_0: 3, confusion_0_1: 1, confusion_2_1: 2, confusion_2_2: 2, confusion_3_3: 0 })
    assert.equal(found.f1Micro, 5 / 8)
    assert.equal(found.balancedAccuracy, (3 / 4 + 2 / 4) / 2)
    assert.equal(found.recallMacro, (3 / 4 + 0 + 2 / 4) / 3)
    assert.equal(found.precisionMacro, (1 + 0 + 1) / 3)
    assert.equal(found.precisionWeighted, (4 * 1 + 4 * 1) / 8)
    assert.equal(found.recallWeighted, (4 * (3 / 4) + 4 * (2 / 4)) / 8)
    assert.equal(found.f1Macro, (6 / 7 + 0 + 4 / 6) / 3)
    assert.equal(found.f1, undefined)
  })

  test('of counts by class are those of the confusion counts that have them as margins', () => {
    const confusion = { confusion_0_0: 3, confusion_0_1: 1, confusion_1_1: 2, confusion_1_2: 5, confusion_2_2: 4 }
    const byClass = { actual_0: 4, actual_1: 7, actual_2: 4, predicted_0: 3, predicted_1: 3, predicted_2: 9 }
    assert.deepEqual(derive({ ...byClass, agreed_0: 3, agreed_1: 2, agreed_2: 4 }), derive(confusion))
  })

  test('of two classes are those of the positives too', () => {
    const found = derive({ true_positive: 6, false_positive: 2, true_negative: 10, false_negative: 4 })
    assert.deepEqual([found.precision, found.recall, found.f1], [6 / 8, 6 / 10, 12 / 18])
    assert.equal(found.balancedAccuracy, (6 / 10 + 10 / 12) / 2)
  })

  test('say between which bounds the area under the curve lies', () => {
    // Positives in bins 10 and 200, negatives in 10 and 5: of four pairs three are right for certain, one shares a bin.
    const scores = { score_positive_10: 1, score_positive_200: 1, score_negative_10: 1, score_negative_5: 1 }
    const { auc, aucLow, aucHigh } = derive(scores)
    assert.deepEqual([auc, aucLow, aucHigh], [3.5 / 4, 3 / 4, 1])
    assert.equal(derive({ score_positive_3: 5, score_negative_0: 0 }).auc, null)
  })

  test('of positions are a perplexity that is never infinite', () => {
    const loss = BigInt(Math.round(Math.log(32) * unit * 100))
    assert.ok(Math.abs((derive({ positions: 100, position_loss_q20: loss }).perplexity ?? 0) - 32) < 1e-4)
    assert.equal(derive({ positions: 1, position_loss_q20: 1024 * unit }).perplexity, Number.MAX_VALUE)
  })

  test('of errors are their means, and R² where all who told errors told labels', () => {
    // Labels 1, 2, 6 (mean 3, spread 14), predictions 2, 2, 4: errors 1, 0, -2.
    const errors = { examples: 3, absolute_error_q20: 3 * unit, error_examples: 3, squared_error_q20: 5 * unit }
    const labels = { label_examples: 3, label_q20: 9 * unit, label_square_q20: 41 * unit }
    const found = derive({ ...errors, ...labels })
    assert.deepEqual([found.mae, found.rmse], [1, Math.sqrt(5 / 3)])
    assert.equal(found.r2, 1 - 5 / 14)
    assert.equal(derive({ ...errors, ...labels, label_examples: 2 }).r2, null)
    assert.equal(derive({ ...errors, label_examples: 3, label_q20: 9 * unit, label_square_q20: 27 * unit }).r2, null)
  })

  test('are those of sums beyond an int64', () => {
    const square = 2n ** 70n * 3n
    const carried = Object.fromEntries(wideEntries('squared_error_q20', square))
    assert.deepEqual(carried, { squared_error_q20: 0n, squared_error_q20_carry: 768n })
    assert.equal(derive({ ...carried, error_examples: 3 }).rmse, 2 ** 25)
    for (const sum of [-5n, 2n ** 62n - 1n, -(2n ** 62n), -(2n ** 80n) - 1n]) {
      const entries = wideEntries('x', sum)
      assert.ok(entries.every(([, value]) => BigInt.asIntN(64, value) === value))
      assert.equal(wideSum(textOf(Object.fromEntries(entries)), 'x'), sum)
    }
  })

  test('are numbers between their bounds also where counts are below 0', () => {
    const classes = derive({ actual_0: -1, predicted_1: 3, agreed_1: -2 })
    assert.deepEqual([classes.balancedAccuracy, classes.f1Macro, classes.f1Micro], [null, null, null])
    const { auc, aucLow, aucHigh } = derive({ score_positive_9: 2, score_negative_5: 1, score_negative_200: -3 })
    assert.deepEqual([auc, aucLow, aucHigh], [1, 1, 1])
  })

  test('take no names for counts that are none', () => {
    const odd = { confusion_32_0: 5, confusion_0_99: 5, actual_1000: 4, score_positive_256: 3, constructor_1: 2 }
    const { loss, f1Micro } = derive({ ...odd, confusion_1_1: 1 })
    assert.deepEqual([loss, f1Micro], [null, 1])
  })
})

test('bins of scores tell small probabilities apart, and have the threshold ½ between them', () => {
  const binOf = (probability: number): number => scoreBin(Math.log(probability / (1 - probability)))
  assert.deepEqual([0, 1e-4, 1e-3, 1e-2, 0.1].map(binOf), [0, 2, 7, 23, 64])
  assert.deepEqual([scoreBin(-1e-9), scoreBin(0), scoreBin(Infinity), scoreBin(NaN)], [127, 128, 255, 0])
})
