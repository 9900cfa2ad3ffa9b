import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { epochOrder } from '@tributary/learning/seeded/epoch-order'
import { extractWeights } from '@tributary/onnx-train/extract-weights'
import { modelFromGraph } from '@tributary/onnx-train/graph-to-proto'
import { mcmahan2nn, mcmahanCnn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import { loadMnist } from '@tributary/onnx-train/testing/mnist'
import { modelOf, node, randomTensor } from '@tributary/onnx-train/testing/model-of'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { OnnxTrainer } from './onnx-trainer.ts'
import type { DataSet, TrainingJob, TrainingSettings } from './trainer.ts'
import { TrainingDivergedError } from './training-error.ts'

const digits = loadMnist('train', 605)
const data: DataSet = { features: digits.images, labels: digits.labels }
const settings: TrainingSettings = {
  localEpochs: 2,
  batchSize: 10,
  learningRate: 0.1,
  optimizer: 'sgd',
  loss: 'softmax-cross-entropy',
}
const ordersOf = (localEpochs: number): Int32Array[] =>
  Array.from({ length: localEpochs }, (_, epoch) => Int32Array.from(epochOrder(new Uint8Array(32).fill(7), epoch, 605)))

const startModel = (bytes: Uint8Array): Pick<TrainingJob, 'graph' | 'weights'> => {
  const model = readModel(bytes, { maxBytes: 1e8 })
  const parts = extractWeights(model).tensors.map(tensor => new Float32Array(tensor.bytes.slice().buffer))
  const weights = Float32Array.from(parts.flatMap(part => [...part]))
  return { graph: writeModel(withoutWeights(model)), weights }
}

const job = (changes: Partial<TrainingJob> = {}): TrainingJob => ({
  ...startModel(mcmahan2nn(1)),
  data,
  settings,
  orders: ordersOf(settings.localEpochs),
  ...changes,
})

const sha256 = ({ buffer }: Float32Array): string => hash('sha256', new Uint8Array(buffer), 'hex')

let trainer: OnnxTrainer
before(() => {
  trainer = new OnnxTrainer()
})
after(async () => {
  await trainer[Symbol.asyncDispose]()
})

test('the same job gives the same bytes, on the same worker and on a new one', async () => {
  const first = await trainer.train(job())
  const second = await trainer.train(job())
  await using other = new OnnxTrainer()
  const third = await other.train(job())
  assert.equal(sha256(second.weights), sha256(first.weights))
  assert.equal(sha256(third.weights), sha256(first.weights))
  assert.equal(first.flushToZero, true)
  // 60 full batches and one of five examples in each of two epochs.
  assert.equal(first.steps, 122)
  assert.equal(first.examplesSeen, 1210)
})

test('training lowers the loss and evaluation counts what it learnt', async () => {
  const start = job()
  const before = await trainer.evaluate({ ...start, loss: 'softmax-cross-entropy' })
  const { weights } = await trainer.train(start)
  const after = await trainer.evaluate({ ...start, weights, loss: 'softmax-cross-entropy' })
  assert.equal(before.examples, 605)
  // Ten classes by chance: −ln 0.1 a digit.
  assert.ok(Math.abs(before.lossSum / 605 - Math.log(10)) < 0.4, `${before.lossSum / 605}`)
  assert.ok((after.correct ?? 0) > 530, `${after.correct} of 605`)
  assert.ok(after.lossSum < before.lossSum / 3)
  assert.equal((after.lossSum * 2 ** 20) % 1, 0)
})

test('the event loop stays live and progress arrives while a CNN trains', async () => {
  let ticks = 0
  const steps: number[] = []
  const ticker = setInterval(() => ticks++, 5)
  const cnn = job({
    ...startModel(mcmahanCnn(1)),
    settings: { ...settings, localEpochs: 1 },
    orders: ordersOf(1),
  })
  const { seconds } = await trainer.train(cnn, { onProgress: progress => steps.push(progress.steps) })
  clearInterval(ticker)
  assert.ok(steps.length > 2)
  assert.deepEqual(
    steps,
    steps.toSorted((a, b) => a - b),
  )
  assert.equal(steps.at(-1), 61)
  assert.ok(ticks > (seconds * 1000) / 5 / 4, `${ticks} ticks of 5 ms in ${seconds} s`)
})

test('an abort rejects with its reason and leaves the worker usable', async () => {
  const controller = new AbortController()
  const endless = job({
    settings: { ...settings, localEpochs: 500 },
    orders: ordersOf(500),
  })
  const training = trainer.train(endless, {
    signal: controller.signal,
    onProgress: () => controller.abort(new Error('the round was cancelled')),
  })
  await assert.rejects(training, /the round was cancelled/)
  assert.equal((await trainer.train(job())).steps, 122)
})

test('an abort before its turn takes a job out of the line', async () => {
  const controller = new AbortController()
  const first = trainer.train(job())
  const second = trainer.train(job(), { signal: controller.signal })
  controller.abort(new Error('not wanted any more'))
  await assert.rejects(second, /not wanted any more/)
  assert.equal((await first).steps, 122)
})

test('a loss that is not finite ends the job with the step it was seen at', async () => {
  const wild = job({ settings: { ...settings, learningRate: 1e30 } })
  await assert.rejects(
    trainer.train(wild),
    error => error instanceof TrainingDivergedError && error.step >= 2 && error.step <= 122,
  )
})

test('what does not fit together is refused by name', async () => {
  const { weights } = job()
  await assert.rejects(trainer.train(job({ weights: weights.slice(1) })), { code: 'WEIGHTS_MISMATCH' })
  await assert.rejects(trainer.train(job({ graph: new Uint8Array([1, 2, 3]) })), { code: 'MODEL_UNSUPPORTED' })
  const features = digits.images.slice(784)
  await assert.rejects(trainer.train(job({ data: { ...data, features } })), { code: 'DATA_MISMATCH' })
  const labels = digits.labels.map(label => label + 1)
  await assert.rejects(trainer.train(job({ data: { ...data, labels } })), { code: 'DATA_MISMATCH' })
  await assert.rejects(trainer.train(job({ orders: [Int32Array.of(605), Int32Array.of(0)] })), {
    code: 'SETTINGS_INVALID',
  })
  await assert.rejects(trainer.train(job({ settings: { ...settings, batchSize: 0 } })), { code: 'SETTINGS_INVALID' })
})

test('every optimiser and option of a task trains, and the same job gives the same bytes', async () => {
  const variants: Partial<TrainingSettings>[] = [
    { optimizer: { kind: 'momentum', momentum: 0.5, weightDecay: 1e-4 }, learningRate: 0.05 },
    { optimizer: 'nesterov', learningRate: 0.02 },
    { optimizer: 'adam', learningRate: 0.001 },
    { optimizer: 'adamw', learningRate: 0.001, gradientClippingNorm: 1, proximal: 0.01 },
    { loss: { kind: 'softmax-cross-entropy', labelSmoothing: 0.1 } },
  ]
  const digests = new Set<string>()
  for (const variant of variants) {
    const changed = job({ settings: { ...settings, ...variant } })
    const first = await trainer.train(changed)
    assert.equal(sha256((await trainer.train(changed)).weights), sha256(first.weights))
    const { correct } = await trainer.evaluate({ ...changed, weights: first.weights, loss: 'softmax-cross-entropy' })
    assert.ok((correct ?? 0) > 500, `${JSON.stringify(variant)}: ${correct} of 605`)
    digests.add(sha256(first.weights))
  }
  assert.equal(digests.size, variants.length)
})

test('the state of an optimiser does not outlive its job', async () => {
  const adam = job({ settings: { ...settings, optimizer: 'adam', learningRate: 0.001 } })
  const alone = await trainer.train(adam)
  // Two jobs of one epoch start twice from zeros; one of two epochs does not.
  const single = { ...adam, settings: { ...adam.settings, localEpochs: 1 } }
  const first = await trainer.train({ ...single, orders: adam.orders.slice(0, 1) })
  const second = await trainer.train({ ...single, weights: first.weights, orders: adam.orders.slice(1) })
  assert.notEqual(sha256(second.weights), sha256(alone.weights))
  await using other = new OnnxTrainer()
  const fresh = await other.train({ ...single, weights: first.weights, orders: adam.orders.slice(1) })
  assert.equal(sha256(fresh.weights), sha256(second.weights))
})

test('frozen parameters come back as they went, in their place', async () => {
  const start = job({ frozen: ['hidden*'] })
  const { weights } = await trainer.train(start)
  const trained = 2010
  assert.deepEqual(weights.subarray(0, -trained), start.weights.subarray(0, -trained))
  assert.notDeepEqual(weights.subarray(-trained), start.weights.subarray(-trained))
})

test('real labels give a mean error and no count of hits', async () => {
  const labels = new Float32Array(605 * 10).fill(0.1)
  const real = job({ data: { ...data, labels, examples: 605 }, settings: { ...settings, loss: 'mean-squared-error' } })
  const before = await trainer.evaluate({ ...real, loss: 'mean-squared-error' })
  const { weights } = await trainer.train(real)
  const after = await trainer.evaluate({ ...real, weights, loss: 'mean-squared-error' })
  assert.deepEqual([before.correct, after.correct], [null, null])
  assert.ok(BigInt(after.sums.absolute_error_q20 ?? 1) < BigInt(before.sums.absolute_error_q20 ?? 0))
  assert.ok(after.lossSum < before.lossSum)
})

test('labels that the loss cannot take are refused', async () => {
  const numbers = Float32Array.from(digits.labels)
  await assert.rejects(trainer.train(job({ data: { ...data, labels: numbers } })), { code: 'DATA_MISMATCH' })
  const negative = digits.labels.with(3, -1)
  await assert.rejects(trainer.train(job({ data: { ...data, labels: negative } })), { code: 'DATA_MISMATCH' })
  const ignoring = { ...settings, loss: { kind: 'softmax-cross-entropy', ignoreIndex: -1 } } as const
  assert.equal((await trainer.train(job({ data: { ...data, labels: negative }, settings: ignoring }))).steps, 122)
  const wild = { ...settings, optimizer: { kind: 'momentum', momentum: 2 } } as const
  await assert.rejects(trainer.train(job({ settings: wild })), { code: 'SETTINGS_INVALID' })
  await assert.rejects(trainer.train(job({ frozen: ['nobody'] })), { code: 'SETTINGS_INVALID' })
})

/** Two dense layers with a normalisation and a Dropout between them, as an export for training has them. */
const normalised = (): Pick<TrainingJob, 'graph' | 'weights'> & { readonly statistics: number } => {
  const float = (...shape: number[]) => randomTensor('float32', shape, shape.length)
  const filled = (value: number) => ({ dtype: 'float32' as const, shape: [16], data: new Float32Array(16).fill(value) })
  const constants = {
    w1: float(784, 16),
    scale: filled(1),
    shift: filled(0),
    w2: float(16, 10),
    mean: filled(0),
    variance: filled(1),
    ratio: { dtype: 'float32' as const, shape: [], data: Float32Array.of(0.25) },
    training: { dtype: 'bool' as const, shape: [], data: Uint8Array.of(1) },
  }
  const model = modelOf('float32', [784], constants, [
    node('MatMul', ['x', 'w1'], 'h'),
    node('BatchNormalization', ['h', 'scale', 'shift', 'mean', 'variance'], ['n', 'mean.next', 'variance.next'], {
      training_mode: { int: 1 },
    }),
    node('Relu', ['n'], 'r'),
    node('Dropout', ['r', 'ratio', 'training'], 'd'),
    node('MatMul', ['d', 'w2'], 'y'),
  ])
  return { ...startModel(writeModel(model)), statistics: 32 }
}

test('running statistics travel with the weights, and evaluation uses them', async () => {
  const { statistics, ...start } = normalised()
  const longer = job({ ...start, settings: { ...settings, localEpochs: 8 }, orders: ordersOf(8) })
  const { weights } = await trainer.train(longer)
  const [before, after] = [start.weights, weights].map(values => [...values.subarray(-statistics)])
  assert.deepEqual(
    before,
    Array.from({ length: statistics }, (_, index) => (index < 16 ? 0 : 1)),
  )
  assert.ok(after?.every((value, index) => Number.isFinite(value) && value !== before?.[index]))
  const { correct } = await trainer.evaluate({ ...longer, weights, loss: 'softmax-cross-entropy' })
  assert.ok((correct ?? 0) > 300, `${correct} of 605`)
})

test('a model that drops values at random gives the same bytes for the same job', async () => {
  const { statistics: _, ...start } = normalised()
  const first = await trainer.train(job(start))
  assert.equal(sha256((await trainer.train(job(start))).weights), sha256(first.weights))
  await using other = new OnnxTrainer()
  assert.equal(sha256((await other.train(job(start))).weights), sha256(first.weights))
})

test('features become the integers that a model of tokens takes, and each token has a label', async () => {
  const tokens = modelFromGraph(
    {
      name: 'tokens',
      inputs: [{ name: 'x', dtype: 'int64', shape: ['batch', 4] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 4, 3] }],
      constants: new Map([['table', randomTensor('float32', [5, 3], 1)]]),
      nodes: [node('Gather', ['table', 'x'], 'y')],
    },
    17,
  )
  const features = Float32Array.from({ length: 40 * 4 }, (_, index) => (index * 7) % 5)
  const labels = Int32Array.from(features, token => token % 3)
  const sentences = { features, labels, examples: 40 }
  const rows = Int32Array.from({ length: 40 }, (_, row) => row)
  const start = job({
    ...startModel(writeModel(tokens)),
    data: sentences,
    settings: { ...settings, localEpochs: 20, learningRate: 5 },
    orders: Array.from({ length: 20 }, () => rows),
  })
  const { weights } = await trainer.train(start)
  const result = await trainer.evaluate({ ...start, weights, loss: 'softmax-cross-entropy' })
  assert.deepEqual([result.examples, result.correct], [40, 40])
  const halves = { ...sentences, features: features.map(token => token + 0.5) }
  await assert.rejects(trainer.train({ ...start, data: halves }), { code: 'DATA_MISMATCH' })
})

test('labels may be 64-bit', async () => {
  const labels = BigInt64Array.from(digits.labels, BigInt)
  const wide = await trainer.train(job({ data: { ...data, labels } }))
  assert.equal(sha256(wide.weights), sha256((await trainer.train(job())).weights))
})

test('a worker file that is missing rejects the job instead of hanging', async () => {
  await using broken = new OnnxTrainer({ workerUrl: new URL('./no-such-worker.ts', import.meta.url) })
  await assert.rejects(broken.train(job()), { code: 'CRASHED' })
})

test('closing the trainer rejects the job in flight', async () => {
  const closing = new OnnxTrainer()
  const orders = ordersOf(500)
  const training = closing.train(job({ settings: { ...settings, localEpochs: 500 }, orders }), {
    onProgress: () => void closing[Symbol.asyncDispose](),
  })
  await assert.rejects(training, { code: 'DISPOSED' })
  await assert.rejects(closing.train(job()), { code: 'DISPOSED' })
})

test('a job that shows no sign of life in time is given up', async () => {
  await using impatient = new OnnxTrainer({ stallSeconds: 0.005 })
  await assert.rejects(impatient.train(job()), { code: 'STALLED' })
})

test('a trainer that has been idle does the next job all the same', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  await using idle = new OnnxTrainer({ idleSeconds: 60 })
  const first = await idle.train(job())
  t.mock.timers.tick(60_000)
  const second = await idle.train(job())
  assert.equal(sha256(second.weights), sha256(first.weights))
  assert.equal(second.flushToZero, first.flushToZero)
})
