import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { parameterElements, parametersOf } from '../parameters.ts'
import { readModel } from '../read-model.ts'
import { randomTensor } from '../testing/model-of.ts'
import { ortRunner } from '../testing/ort-runner.ts'
import { mcmahan2nn, mcmahanCnn } from './mcmahan.ts'

const elements = (bytes: Uint8Array): number => parameterElements(parametersOf(readModel(bytes, { maxBytes: 1e8 })))

test('both models have as many parameters as the paper counts', () => {
  assert.equal(elements(mcmahan2nn(1)), 199_210)
  assert.equal(elements(mcmahanCnn(1)), 1_663_370)
})

test('the same seed gives the same bytes and another seed others', () => {
  assert.deepEqual(mcmahan2nn(5), mcmahan2nn(5))
  assert.notEqual(hash('sha256', mcmahan2nn(5)), hash('sha256', mcmahan2nn(6)))
})

test('a runtime reads both and gives probabilities', async () => {
  for (const [bytes, shape] of [
    [mcmahan2nn(1), [3, 784]],
    [mcmahanCnn(1), [3, 1, 28, 28]],
  ] as const) {
    const feeds = new Map([['image', randomTensor('float32', shape, 2)]])
    const probabilities = (await ortRunner(bytes, feeds, ['probabilities'])).get('probabilities')
    assert.deepEqual(probabilities?.shape, [3, 10])
    const total = [...((probabilities?.data ?? []) as Float32Array)].reduce((sum, value) => sum + value, 0)
    assert.ok(Math.abs(total - 3) < 1e-5)
  }
})
