import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileTraining } from './compile-training.ts'
import { OnnxModelError } from './onnx-model-error.ts'
import { readModel } from './read-model.ts'
import { modelOf, node, randomTensor } from './testing/model-of.ts'
import { ortRunner } from './testing/ort-runner.ts'
import { TrainingSession } from './testing/train-loop.ts'
import { writeModel } from './write-model.ts'

const constants = {
  w: randomTensor('float32', [2, 1, 3, 3], 1),
  b: randomTensor('float32', [2], 2),
  v: randomTensor('float32', [3, 8], 3),
  c: randomTensor('float32', [3], 4),
}
const whole = writeModel(
  modelOf('float32', [1, 6, 6], constants, [
    node('Conv', ['x', 'w', 'b'], 'a', { kernel_shape: { ints: [3, 3] }, pads: { ints: [0, 0, 0, 0] } }),
    node('Relu', ['a'], 'r'),
    node('MaxPool', ['r'], 'p', { kernel_shape: { ints: [2, 2] }, strides: { ints: [2, 2] } }),
    node('Flatten', ['p'], 'f'),
    node('Gemm', ['f', 'v', 'c'], 'y', { transB: { int: 1 } }),
  ]),
)

test('a model with any bytes changed compiles to a graph that loads, or is refused with a typed error', async () => {
  const patches = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(patches, async changes => {
      const bytes = whole.slice()
      for (const [at, value] of changes) bytes[at] = value
      try {
        const model = readModel(bytes, { maxBytes: 1e6 })
        const options = { loss: 'softmax-cross-entropy', optimizer: 'sgd', form: 'loop' } as const
        const session = await TrainingSession.open(await compileTraining(model, options, ortRunner))
        await session[Symbol.asyncDispose]()
      } catch (error) {
        assert.ok(error instanceof OnnxModelError, error instanceof Error ? error.stack : 'not an error')
      }
    }),
    // transB = 2: the runtime takes it for true, and 1 − transB is no flag.
    { numRuns: 500, examples: [[[[238, 2]]]] },
  )
})
