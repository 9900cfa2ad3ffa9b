import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type CompiledTraining, compileTraining } from '../compile-training.ts'
import type { ModelProto } from '../gen/onnx_pb.ts'
import { splitmix32 } from '../models/random.ts'
import { OnnxModelError } from '../onnx-model-error.ts'
import { readModel } from '../read-model.ts'
import { elementCount, type TensorData } from '../tensor.ts'
import { startValues } from '../testing/gradients.ts'
import { ortRunner } from '../testing/ort-runner.ts'
import { runCompiled } from '../testing/run-compiled.ts'

const folder = new URL('../../fixtures/exports/', import.meta.url)

const read = (file: string, output?: string): ModelProto =>
  readModel(readFileSync(new URL(file, folder)), { maxBytes: 1e6, output })

const batchSize = 12
const stepCount = 60
const vocabulary = 20

type Weights = Record<string, Float32Array>

const weightsOf = (model: ModelProto): Weights =>
  Object.fromEntries([...startValues(model)].map(([name, { data }]) => [name, data as Float32Array]))

/** Random examples with random labels, which a model can only learn by heart. */
const examples = (compiled: CompiledTraining): { features: TensorData; labels: TensorData } => {
  const next = splitmix32(5)
  const count = batchSize * elementCount(compiled.exampleShape)
  const features: TensorData =
    compiled.featuresDtype === 'int64'
      ? BigInt64Array.from({ length: count }, () => BigInt(next() % vocabulary))
      : Float32Array.from({ length: count }, () => next() / 2 ** 32)
  return { features, labels: Int32Array.from({ length: batchSize }, () => next() % compiled.classes) }
}

const assertLearns = async (model: ModelProto): Promise<void> => {
  const compiled = await compileTraining(
    model,
    { loss: 'softmax-cross-entropy', optimizer: 'adam', form: 'loop' },
    ortRunner,
  )
  const rows = Int32Array.from({ length: batchSize * stepCount }, (_, index) => index % batchSize)
  const { losses } = await runCompiled(compiled, {
    parameters: weightsOf(model),
    ...examples(compiled),
    learningRate: 0.02,
    order: { steps: stepCount, rows },
  })
  const [first = 0] = losses
  const last = losses.at(-1) ?? 0
  assert.equal(losses.length, stepCount)
  assert.ok(last < 0.6 * first, `the loss went from ${first} to ${last}`)
}

/** Along the gradient the loss changes by ‖gradient‖² a unit: measured by the forward pass alone. */
const assertSlope = async (model: ModelProto): Promise<void> => {
  const compiled = await compileTraining(
    model,
    { loss: 'softmax-cross-entropy', optimizer: 'sgd', form: 'step' },
    ortRunner,
  )
  const start = weightsOf(model)
  const step = (parameters: Weights, learningRate: number) =>
    runCompiled(compiled, { parameters, ...examples(compiled), learningRate })
  const { parameters: after } = await step(start, 1)
  const trained = compiled.parameters.filter(({ buffer }) => buffer !== true).map(({ name }) => name)
  const moved = (distance: number): Weights => ({
    ...start,
    ...Object.fromEntries(
      trained.map(name => {
        const [before = new Float32Array(), then] = [start[name], after[name] as Float32Array]
        return [name, before.map((value, index) => value + distance * (value - (then[index] ?? 0)))]
      }),
    ),
  })
  const slope = trained.reduce((sum, name) => {
    const then = after[name] as Float32Array
    return (start[name] ?? new Float32Array()).reduce(
      (total, value, index) => total + (value - (then[index] ?? 0)) ** 2,
      sum,
    )
  }, 0)
  // So far that the loss moves by two thousandths: well above its rounding, well below where it bends.
  const distance = 1e-3 / slope
  const [above, below] = [await step(moved(distance), 0), await step(moved(-distance), 0)]
  const measured = ((above.losses[0] ?? 0) - (below.losses[0] ?? 0)) / (2 * distance)
  assert.ok(Math.abs(measured / slope - 1) < 0.01, `the slope is ${measured}, the gradient says ${slope}`)
}

const files = readdirSync(folder).filter(file => file.endsWith('.onnx') && !file.startsWith('skl2onnx'))

test('there are files of every exporter', () => {
  assert.ok(files.filter(file => file.startsWith('torch-script')).length >= 14)
  assert.ok(files.filter(file => file.startsWith('torch-dynamo')).length >= 11)
  assert.ok(files.filter(file => file.startsWith('tf2onnx')).length >= 4)
})

for (const file of files) {
  test(`${file} trains as it was exported`, () => assertLearns(read(file)))
  test(`the gradient of ${file} is the slope of its loss`, () => assertSlope(read(file)))
}

test('the multi-layer perceptron of scikit-learn trains up to its logits', async () => {
  const model = read('skl2onnx-mlp.onnx', 'add_result1')
  await assertLearns(model)
  await assertSlope(model)
})

test('the perceptron as a whole is refused with the reason', () => {
  assert.throws(() => read('skl2onnx-mlp.onnx'), isRefusal('DOMAIN_UNSUPPORTED', 'ZipMap'))
})

test('a random forest is refused by the name of its operator', () => {
  assert.throws(() => read('skl2onnx-random-forest.onnx'), isRefusal('DOMAIN_UNSUPPORTED', 'TreeEnsembleClassifier'))
  assert.throws(
    () => read('skl2onnx-random-forest.onnx', 'output_probability'),
    isRefusal('DOMAIN_UNSUPPORTED', 'TreeEnsembleClassifier'),
  )
})

const isRefusal =
  (code: OnnxModelError['code'], word: string) =>
  (error: unknown): boolean =>
    error instanceof OnnxModelError && error.code === code && error.message.includes(word)
