import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StopConditions } from '@tributary/contracts/stop-conditions'
import { type EvaluatedRound, judgeStop } from './stop-conditions.ts'

type Found = readonly [accuracy: number | null, loss: number | null]

const rounds = (...found: readonly Found[]): EvaluatedRound[] =>
  found.map(([accuracy, loss], index) => {
    const nobody = accuracy === null && loss === null
    const results = { accuracy, loss }
    return { round: index + 1, loss, results, examples: nobody ? 0 : 100, evaluators: nobody ? 0 : 2 }
  })
const verdict = (stop: object, found: readonly EvaluatedRound[]): string | null => {
  const judged = judgeStop(StopConditions.parse(stop), found)
  return judged && `${judged.kind} ${judged.reason.code}: ${judged.reason.detail}`
}

test('without conditions nothing stops a task', () => {
  assert.equal(verdict({}, rounds([0.1, 2], [1, 1e9], [1, 0])), null)
})

test('a target is reached at its value: accuracy from below, loss from above', () => {
  const accuracy = { target: { metric: 'accuracy', value: 0.9 } }
  assert.equal(verdict(accuracy, rounds([0.5, 1], [0.89, 0.2])), null)
  assert.equal(
    verdict(accuracy, rounds([0.5, 1], [0.9, 0.2], [0.8, 0.3])),
    'complete STOP_TARGET: round 2 reached accuracy 0.9, wanted 0.9',
  )
  const loss = { target: { metric: 'loss', value: 0.25 } }
  assert.equal(verdict(loss, rounds([0.9, 0.26])), null)
  assert.match(verdict(loss, rounds([0.9, 0.25])) ?? '', /^complete STOP_TARGET/)
  assert.equal(verdict(accuracy, rounds([null, 0.1])), null, 'real-valued labels have no accuracy')
})

test('patience counts evaluated rounds in a row that are not better than the best by the least gain', () => {
  const stop = { patience: { metric: 'accuracy', rounds: 2, minimumDelta: 0.125 } }
  assert.equal(verdict(stop, rounds([0.25, 1], [0.25, 1], [0.375, 1], [0.375, 1])), null)
  assert.equal(
    verdict(stop, rounds([0.25, 1], [0.375, 1], [0.4375, 1], [0.375, 1])),
    'complete STOP_PATIENCE: 2 evaluated rounds in a row were not better than accuracy 0.375 of round 2',
  )
  // Slow gains do not add up to a new best; a round that nobody evaluated neither counts nor forgives.
  assert.match(verdict(stop, rounds([0.25, 1], [0.3, 1], [null, null], [0.35, 1])) ?? '', /STOP_PATIENCE/)
  assert.equal(verdict(stop, rounds([0.25, 1], [0.3, 1], [null, null])), null)
})

test('a loss that stays equal is not better, also where no least gain is asked', () => {
  const stop = { patience: { metric: 'loss', rounds: 2 } }
  assert.equal(verdict(stop, rounds([0, 0.5], [0, 0.5], [0, 0.49])), null)
  assert.match(verdict(stop, rounds([0, 0.5], [0, 0.5], [0, 0.5])) ?? '', /not better than loss 0.5 of round 1/)
})

test('a loss past the multiple of the lowest so far is divergence, whatever else is reached', () => {
  const stop = { divergence: { factor: 2 }, target: { metric: 'accuracy', value: 0.1 } }
  assert.match(verdict(stop, rounds([0.5, 1])) ?? '', /^complete STOP_TARGET/)
  const guard = { divergence: { factor: 2 } }
  assert.equal(verdict(guard, rounds([0, 1], [0, 0.5], [0, 1])), null, 'twice the lowest is not past it')
  assert.equal(
    verdict(guard, rounds([0, 1], [0, 0.5], [0, 1.5])),
    'fail DIVERGED: round 3: the loss is 1.5, more than 2 times the lowest so far, 0.5',
  )
  assert.match(verdict(stop, rounds([0.5, 1], [0.9, 3])) ?? '', /^fail DIVERGED/)
  assert.equal(verdict(guard, rounds([0, 0], [0, 1])), null, 'nothing is a multiple of zero')
})

test('evaluators that find no finite loss any more are divergence; nobody there, or no examples ever, is not', () => {
  const guard = { divergence: { factor: 2 } }
  const vain = (round: number, evaluators: number) => ({ round, loss: null, results: {}, examples: 0, evaluators })
  assert.match(verdict(guard, [...rounds([0.5, 1]), vain(2, 3)]) ?? '', /^fail DIVERGED: round 2: no evaluator/)
  assert.equal(verdict(guard, [...rounds([0.5, 1]), vain(2, 0)]), null)
  assert.equal(verdict(guard, [vain(1, 3), vain(2, 3)]), null)
})

test('any value may be the target or the measure of patience, each in its own direction', () => {
  const found = (name: string, ...values: readonly (number | null)[]): EvaluatedRound[] =>
    rounds(...values.map((): Found => [0.5, 1])).map((round, index) => ({
      ...round,
      results: { [name]: values[index] ?? null },
    }))
  const stop = (metric: string, value: number) => ({ target: { metric, value }, patience: { metric, rounds: 2 } })
  assert.match(verdict(stop('f1Macro', 0.8), found('f1Macro', 0.5, 0.8)) ?? '', /STOP_TARGET: round 2 reached f1Macro/)
  assert.match(verdict(stop('rmse', 2), found('rmse', 5, 1.5)) ?? '', /STOP_TARGET: round 2 reached rmse 1.5/)
  assert.match(verdict(stop('perplexity', 2), found('perplexity', 5, 6, 7)) ?? '', /STOP_PATIENCE/)
  assert.equal(verdict(stop('auc', 0.9), found('auc', 0.5, null, 0.6, 0.5)), null)
  assert.equal(verdict(stop('auc', 0.9), found('rmse', 0.5, 0.6)), null, 'it was never measured')
})
