import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { suite, test } from 'node:test'
import { metricsOfLoss } from '@tributary/contracts/evaluation-metrics'
import type { TrainerSettings } from '@tributary/contracts/round'
import { deriveMetrics } from '@tributary/learning/evaluation/derive-metrics'
import type { LabelType } from '@tributary/onnx-train/losses/loss'
import fc from 'fast-check'
import { collectorFor } from './collector-for.ts'
import { UnitTotal } from './unit-total.ts'

type Case = {
  readonly loss: TrainerSettings['loss']
  readonly shape: readonly number[]
  readonly outputs: readonly number[]
  readonly labels: readonly number[]
  readonly sums: Readonly<Record<string, string>>
  readonly values: Readonly<Record<string, number>>
  readonly ignored?: number
}

const fixture = new URL('../../../../python/tests/fixtures/metrics.json', import.meta.url)
const cases = Object.entries(JSON.parse(await readFile(fixture, 'utf8')) as Record<string, Case>)

const ofClasses = ({ loss }: Case): boolean => loss === 'softmax-cross-entropy'
const labelOf = (each: Case): LabelType => {
  const sizes = each.shape.slice(1)
  if (ofClasses(each)) {
    return { kind: 'class-index', dtype: 'int32', shape: sizes.slice(0, -1), classes: each.shape.at(-1) ?? 0 }
  }
  return { kind: each.loss === 'mean-squared-error' ? 'real' : 'binary', dtype: 'float32', shape: sizes }
}
const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

/** −log softmax at the label, as the evaluation graph has it: a mean over the positions that count. */
const lossOf = (scores: Float32Array, labels: Int32Array, classes: number, ignored: number | undefined) => {
  let [sum, counted] = [0, 0]
  for (const [position, label] of labels.entries()) {
    if (label === ignored) continue
    const row = scores.subarray(position * classes, (position + 1) * classes)
    sum += Math.log(row.reduce((total, score) => total + Math.exp(score), 0)) - (row[label] ?? 0)
    counted += 1
  }
  return { loss: sum / Math.max(counted, 1), counted }
}

/** What a device with some of the rows finds. */
const found = (each: Case, rows: readonly number[], metrics: readonly string[] = metricsOfLoss[each.loss]) => {
  const label = labelOf(each)
  const collector = collectorFor({ label, classes: label.classes ?? 0 }, metrics, {
    ignored: each.ignored,
    worstLoss: 1024,
  })
  const width = sizeOf(each.shape.slice(1))
  const positions = sizeOf(label.shape)
  const Labels = ofClasses(each) ? Int32Array : Float32Array
  for (const row of rows) {
    const scores = Float32Array.from(each.outputs.slice(row * width, (row + 1) * width))
    const labels = Labels.from(each.labels.slice(row * positions, (row + 1) * positions))
    const { loss, counted } = ofClasses(each)
      ? lossOf(scores, labels as Int32Array, label.classes ?? 0, each.ignored)
      : { loss: 0, counted: positions }
    collector.add({ scores, labels, losses: [loss], counted: [counted] })
  }
  return new Map(collector.sums())
}

const added = (parts: readonly ReadonlyMap<string, bigint>[]): Record<string, string> => {
  const total = new Map<string, bigint>()
  for (const part of parts) for (const [name, value] of part) total.set(name, (total.get(name) ?? 0n) + value)
  return Object.fromEntries([...total].map(([name, value]) => [name, `${value}`]))
}

suite('metrics', () => {
  for (const [name, each] of cases) {
    const rows = [...Array(each.shape[0]).keys()]

    test(`of ${name} have the sums that scikit-learn and NumPy have`, () => {
      const { position_loss_q20: loss = '0', ...sums } = added([found(each, rows)])
      const { position_loss_q20: known = '0', ...expected } = each.sums
      assert.deepEqual(sums, expected)
      // Logarithms differ in their last bit.
      assert.ok(Math.abs(Number(loss) - Number(known)) <= 2, `${loss} and ${known}`)
    })

    test(`of ${name} come to the values that scikit-learn has`, () => {
      const { auc, ...values } = each.values
      // Examples and hits are counted by the graph.
      const correct = Math.round((values.accuracy ?? 0) * rows.length)
      const derived: Record<string, number | null> = deriveMetrics({
        ...added([found(each, rows)]),
        examples: `${rows.length}`,
        ...(values.accuracy === undefined ? {} : { correct: `${correct}` }),
      })
      for (const [metric, value] of Object.entries(values)) {
        const difference = Math.abs((derived[metric] ?? Number.NaN) - value) / Math.max(Math.abs(value), 1)
        assert.ok(difference < 1e-6, `${metric}: ${derived[metric]}, not ${value}`)
      }
      if (auc === undefined) return
      const { aucLow = null, aucHigh = null } = derived
      assert.ok(aucLow !== null && aucHigh !== null && aucLow <= auc && auc <= aucHigh, `${aucLow} ${auc} ${aucHigh}`)
      assert.ok(Math.abs((derived.auc ?? 0) - auc) <= (aucHigh - aucLow) / 2 + 1e-12 && aucHigh - aucLow < 0.05)
    })

    test(`of ${name} are the same for any split of the examples over devices`, () => {
      const without = (sums: Record<string, string>) =>
        Object.fromEntries(Object.entries(sums).filter(([, value]) => value !== '0'))
      const whole = without(added([found(each, rows)]))
      const devices = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: rows.length, maxLength: rows.length })
      fc.assert(
        fc.property(devices, of => {
          const parts = [0, 1, 2, 3, 4].map(device =>
            found(
              each,
              rows.filter(row => of[row] === device),
            ),
          )
          assert.deepEqual(without(added(parts)), whole)
        }),
        { numRuns: 20 },
      )
    })
  }

  const byName = new Map(cases)
  const some = (name: string, metrics: readonly string[]): string[] =>
    [...found(byName.get(name) as Case, [0, 1, 2, 3], metrics).keys()].filter(key => !key.endsWith('_0'))

  test('are found only where they are asked for', () => {
    assert.deepEqual(some('ten classes', []), [])
    assert.deepEqual(some('truths', ['accuracy']), [])
    assert.deepEqual(some('ten classes', ['top-5', 'auc', 'rmse']), ['positions', 'top5_correct'])
    assert.deepEqual(some('two classes', ['perplexity-of-sequences']), [])
    assert.deepEqual(some('sequences with ignored positions', ['perplexity-of-sequences']), [
      'positions',
      'position_loss_q20',
    ])
    assert.deepEqual(some('numbers', []), ['absolute_error_q20'])
    assert.deepEqual(some('numbers', ['rmse']), ['absolute_error_q20', 'error_examples', 'squared_error_q20'])
  })

  test('of no examples say so, and come to null', () => {
    for (const [, each] of cases) {
      const { loss, ...derived } = deriveMetrics({ ...added([found(each, [])]), examples: '0' })
      assert.equal(loss, null)
      assert.ok(Object.keys(derived).length > 2)
      assert.deepEqual(new Set(Object.values(derived)), new Set([null]))
    }
  })

  test('take a score that is no number as the lowest', () => {
    const label = { kind: 'class-index', dtype: 'int32', shape: [], classes: 6 } as const
    const collector = collectorFor({ label, classes: 6 }, ['top-5', 'confusion'], { ignored: undefined, worstLoss: 1 })
    const scores = Float32Array.of(NaN, 0, 1, 2, 3, 4, NaN, -1, -2, -3, -4, -5)
    collector.add({ scores, labels: Int32Array.of(0, 1), losses: [1, 1], counted: [1, 1] })
    const sums = new Map(collector.sums())
    assert.deepEqual([sums.get('confusion_0_5'), sums.get('confusion_1_1'), sums.get('top5_correct')], [1n, 1n, 1n])
  })

  test('have exact sums of any size', () => {
    const total = new UnitTotal()
    for (const value of [2 ** 60, 2 ** -20, -(2 ** 60), NaN, 1e300, -Infinity]) total.add(value, 2 ** 60)
    assert.equal(total.units, 1n + 2n ** 80n)
    const small = new UnitTotal()
    for (let count = 0; count < 5000; count++) small.add(2 ** 20 - 2 ** -20, 2 ** 30)
    assert.equal(small.units, 5000n * (2n ** 40n - 1n))
  })
})
