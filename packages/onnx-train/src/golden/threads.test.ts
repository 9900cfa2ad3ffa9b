import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { compileTraining } from '../compile-training.ts'
import { tensorBytes } from '../tensor.ts'
import { loadGolden } from '../testing/golden-fixture.ts'
import { startValues } from '../testing/gradients.ts'
import { ortRunner } from '../testing/ort-runner.ts'
import { runCompiled } from '../testing/run-compiled.ts'

const steps = 6

for (const name of ['2nn', 'mcmahan-cnn', 'transformer', 'lstm']) {
  test(`the same training gives the same bytes on 1 and 2 threads, and again: ${name}`, async () => {
    const { model, batchSize, features, labels } = loadGolden(name)
    const options = { loss: 'softmax-cross-entropy', optimizer: 'sgd', form: 'loop' } as const
    const compiled = await compileTraining(model, options, ortRunner)
    const parameters = Object.fromEntries([...startValues(model)].map(([key, { data }]) => [key, data]))
    const rows = Int32Array.from({ length: steps * batchSize }, (_, index) => index % batchSize)
    const given = { parameters, features, labels, learningRate: 0.05, order: { steps, rows } }
    const digests = new Set<string>()
    for (const threads of [1, 2, 1]) {
      const { parameters: trained } = await runCompiled(compiled, given, threads)
      const bytes = Object.values(trained).map(data => tensorBytes({ dtype: 'float32', shape: [], data }))
      digests.add(hash('sha256', Buffer.concat(bytes)))
    }
    assert.equal(digests.size, 1)
  })
}
