import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileTraining, type TrainingOptions } from '../compile-training.ts'
import type { Tensor } from '../tensor.ts'
import { startValues } from '../testing/gradients.ts'
import { modelOf, node, randomTensor } from '../testing/model-of.ts'
import { ortRunner } from '../testing/ort-runner.ts'
import { TrainingSession, type Weights } from '../testing/train-loop.ts'

const float32 = (shape: readonly number[], seed: number): Tensor => randomTensor('float32', shape, seed)
const positive = { dtype: 'float32', shape: [2], data: Float32Array.of(0.5, 2) } as const

const models = {
  'running statistics': modelOf(
    'float32',
    [5, 3],
    {
      w: float32([2, 5, 3], 1),
      scale: float32([2], 2),
      bias: float32([2], 3),
      mean: float32([2], 4),
      variance: positive,
      v: float32([2, 4], 5),
    },
    [
      node('Conv', ['x', 'w'], 'c', { pads: { ints: [1, 1] } }),
      node('BatchNormalization', ['c', 'scale', 'bias', 'mean', 'variance'], ['n', 'm', 's'], {
        training_mode: { int: 1 },
      }),
      node('GlobalAveragePool', ['n'], 'g'),
      node('Flatten', ['g'], 'f'),
      node('MatMul', ['f', 'v'], 'y'),
    ],
  ),
  'a recurrent layer': modelOf(
    'float32',
    [5, 3],
    { w: float32([2, 8, 3], 1), r: float32([2, 8, 2], 2), b: float32([2, 16], 3), v: float32([4, 4], 4) },
    [
      node('Transpose', ['x'], 't', { perm: { ints: [1, 0, 2] } }),
      node('LSTM', ['t', 'w', 'r', 'b'], ['', 'h'], {
        hidden_size: { int: 2 },
        direction: { string: 'bidirectional' },
      }),
      node('Transpose', ['h'], 'p', { perm: { ints: [1, 0, 2] } }),
      node('Flatten', ['p'], 'f'),
      node('MatMul', ['f', 'v'], 'y'),
    ],
  ),
}

for (const [name, model] of Object.entries(models)) {
  test(`a loop of K steps equals K single steps, bit for bit, with ${name}`, async () => {
    const options = (form: TrainingOptions['form']): TrainingOptions => ({
      loss: 'softmax-cross-entropy',
      optimizer: 'sgd',
      form,
    })
    await using loop = await TrainingSession.open(await compileTraining(model, options('loop'), ortRunner))
    await using step = await TrainingSession.open(await compileTraining(model, options('step'), ortRunner))
    const images = float32([12, 5, 3], 7).data as Float32Array
    const labels = Int32Array.from({ length: 12 }, (_, row) => row % 4)
    const start: Weights = [...startValues(model).values()]
    let single = start
    for (let row = 0; row < 12; row += 4) {
      const batch = { images: images.subarray(row * 15, (row + 4) * 15), labels: labels.subarray(row, row + 4) }
      single = (await step.run(single, batch, 0.1)).weights
    }
    const rows = Int32Array.from({ length: 12 }, (_, row) => row)
    const whole = await loop.run(start, { images, labels }, 0.1, { steps: 3, rows })
    assert.deepEqual(whole.weights, single)
    for (const [index, weight] of whole.weights.entries()) assert.notDeepEqual(weight, start[index])
  })
}
