import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileTraining } from '../compile-training.ts'
import type { TensorData } from '../tensor.ts'
import { type GoldenFixture, loadGolden } from '../testing/golden-fixture.ts'
import { ortRunner } from '../testing/ort-runner.ts'
import { type Outcome, runCompiled } from '../testing/run-compiled.ts'
import { relativeDistance } from './sketch.ts'

const models = [
  '2nn',
  'mcmahan-cnn',
  'resnet-18',
  'mobilenet-v2',
  'mobilenet-v3-small',
  'shufflenet-v2',
  'efficientnet-b0',
  'squeezenet',
  'densenet-121',
  'densenet-121-smooth',
  'transformer',
  'lstm',
  'gru',
  'lstm-bidirectional',
  'transformer-dynamo',
  'lstm-dynamo',
  'gru-dynamo',
  'resnet-18-frozen',
  'mobilenet-v3-small-frozen-dynamo',
  'autoencoder',
  'tabular',
]

/** Large, so that the step dwarfs the weights and W − W′ keeps the precision of the gradient. */
const largeRate = 2 ** 20

/** How many times PyTorch's own rounding a result may be off. */
const allowed = 3

for (const name of models) {
  test(`the gradient of ${name} is PyTorch's, up to ${allowed} times its rounding`, async context => {
    const golden = loadGolden(name)
    const compiled = await compileTraining(
      golden.model,
      { loss: golden.loss.kind, optimizer: 'sgd', form: 'step' },
      ortRunner,
    )
    const { parameters, losses } = await runCompiled(compiled, {
      parameters: startOf(golden),
      features: golden.features,
      labels: golden.labels,
      learningRate: largeRate,
    })
    assert.ok(Math.abs((losses[0] ?? 0) / golden.loss.value - 1) < 1e-5, `loss ${losses[0]}, not ${golden.loss.value}`)
    const { floor, sketches } = golden.gradient
    const error = relativeDistance(differences(golden, parameters, -1 / largeRate), sketches)
    context.diagnostic(
      `relative error ${error.toExponential(2)}, floor ${floor.toExponential(2)}, ratio ${(error / floor).toFixed(2)}`,
    )
    assert.ok(error <= allowed * floor, `relative error ${error}, floor ${floor}`)
  })
}

for (const name of models) {
  const { steps } = loadGolden(name)
  for (const { optimizer, learningRate, count, floor, sketches } of steps) {
    const title = `${count} ${count === 1 ? 'step' : 'steps'} of ${optimizer}`
    test(`${title} take ${name} where they take it in PyTorch`, async context => {
      const golden = loadGolden(name)
      const compiled = await compileTraining(
        golden.model,
        { loss: golden.loss.kind, optimizer, form: 'loop' },
        ortRunner,
      )
      const { parameters } = await runCompiled(compiled, {
        parameters: startOf(golden),
        features: golden.features,
        labels: golden.labels,
        learningRate,
        order: { steps: count, rows: repeatedRows(golden.batchSize, count) },
      })
      const error = relativeDistance(differences(golden, parameters, 1), sketches)
      context.diagnostic(
        `relative error ${error.toExponential(2)}, floor ${floor.toExponential(2)}, ratio ${(error / floor).toFixed(2)}`,
      )
      assert.ok(error <= allowed * floor, `relative error ${error}, floor ${floor}`)
    })
  }
}

const startOf = ({ tensors }: GoldenFixture): Record<string, TensorData> =>
  Object.fromEntries([...tensors].map(([name, { values }]) => [name, values]))

/** (W′ − W)·factor of every tensor. */
const differences = (
  { tensors }: GoldenFixture,
  changed: Outcome['parameters'],
  factor: number,
): Map<string, { seed: number; values: Float64Array }> =>
  new Map(
    [...tensors].map(([name, { seed, values }]) => {
      const after = changed[name] as Float32Array | undefined
      if (after === undefined) throw new Error(`${name} was not trained`)
      const change = new Float64Array(values.length)
      for (let i = 0; i < change.length; i++) change[i] = ((after[i] ?? 0) - (values[i] ?? 0)) * factor
      return [name, { seed, values: change }]
    }),
  )

/** All rows of the batch in every step. */
const repeatedRows = (batchSize: number, steps: number): Int32Array =>
  Int32Array.from({ length: batchSize * steps }, (_, index) => index % batchSize)
