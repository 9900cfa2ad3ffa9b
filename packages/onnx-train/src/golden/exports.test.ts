import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { compileTraining } from '../compile-training.ts'
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

/** Losses of training on random labels, which a model can only learn by heart. */
const train = async (model: ModelProto, vocabulary: number): Promise<number[]> => {
  const compiled = await compileTraining(
    model,
    { loss: 'softmax-cross-entropy', optimizer: { kind: 'adam' }, form: 'loop' },
    ortRunner,
  )
  const next = splitmix32(5)
  const count = batchSize * elementCount(compiled.exampleShape)
  const features: TensorData =
    compiled.featuresDtype === 'int64'
      ? BigInt64Array.from({ length: count }, () => BigInt(next() % vocabulary))
      : Float32Array.from({ length: count }, () => next() / 2 ** 32)
  const { losses } = await runCompiled(compiled, {
    parameters: Object.fromEntries([...startValues(model)].map(([name, { data }]) => [name, data])),
    features,
    labels: Int32Array.from({ length: batchSize }, () => next() % compiled.classes),
    learningRate: 0.02,
    order: {
      steps: stepCount,
      rows: Int32Array.from({ length: batchSize * stepCount }, (_, index) => index % batchSize),
    },
  })
  return losses
}

const assertLearns = (losses: readonly number[]): void => {
  const [first = 0] = losses
  const last = losses.at(-1) ?? 0
  assert.equal(losses.length, stepCount)
  assert.ok(last < 0.6 * first, `the loss went from ${first} to ${last}`)
}

const files = readdirSync(folder).filter(file => file.endsWith('.onnx') && !file.startsWith('skl2onnx'))

test('there are files of every exporter', () => {
  assert.ok(files.filter(file => file.startsWith('torch-script')).length >= 14)
  assert.ok(files.filter(file => file.startsWith('torch-dynamo')).length >= 11)
  assert.ok(files.filter(file => file.startsWith('tf2onnx')).length >= 4)
})

for (const file of files) {
  test(`${file} trains as it was exported`, async () => assertLearns(await train(read(file), 20)))
}

test('the multi-layer perceptron of scikit-learn trains up to its logits', async () => {
  const model = read('skl2onnx-mlp.onnx', 'add_result1')
  assertLearns(await train(model, 0))
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
