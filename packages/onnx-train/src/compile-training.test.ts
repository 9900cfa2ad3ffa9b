import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { compileEvaluation } from './compile-evaluation.ts'
import { compileTraining, type TrainingOptions } from './compile-training.ts'
import { graphFromProto } from './graph-from-proto.ts'
import { mcmahan2nn, mcmahanCnn } from './models/mcmahan.ts'
import { graphOf } from './parameters.ts'
import { readModel } from './read-model.ts'
import { type Tensor, tensorBytes } from './tensor.ts'
import { startValues } from './testing/gradients.ts'
import { loadMnist } from './testing/mnist.ts'
import { modelOf, node, randomTensor } from './testing/model-of.ts'
import { ortRunner } from './testing/ort-runner.ts'
import { TrainingSession, type Weights } from './testing/train-loop.ts'
import { withoutWeights } from './without-weights.ts'

const limits = { maxBytes: 1e8 }
const options = (form: TrainingOptions['form']): TrainingOptions => ({
  loss: 'softmax-cross-entropy',
  optimizer: 'sgd',
  form,
})
const sha256 = (weights: Weights): string[] => weights.map(tensor => hash('sha256', tensorBytes(tensor)))
const rowsFrom = (start: number, count: number): Int32Array =>
  Int32Array.from({ length: count }, (_, row) => start + row)

for (const [name, bytes, width] of [
  ['2NN', mcmahan2nn(1), 784],
  ['CNN', mcmahanCnn(1), 784],
] as const) {
  test(`a loop of K steps equals K single steps and every way of cutting it, bit for bit: ${name}`, async () => {
    const model = readModel(bytes, limits)
    await using loop = await TrainingSession.open(await compileTraining(model, options('loop'), ortRunner))
    await using step = await TrainingSession.open(await compileTraining(model, options('step'), ortRunner))
    const data = loadMnist('train', 65)
    const start: Weights = [...startValues(model).values()]

    let single = start
    const losses: number[] = []
    for (let row = 0; row < 60; row += 10) {
      const batch = {
        images: data.images.subarray(row * width, (row + 10) * width),
        labels: data.labels.subarray(row, row + 10),
      }
      const result = await step.run(single, batch, 0.1)
      single = result.weights
      losses.push(...result.losses)
    }
    const whole = await loop.run(start, data, 0.1, { steps: 6, rows: rowsFrom(0, 60) })
    assert.deepEqual(sha256(whole.weights), sha256(single))
    assert.deepEqual([...whole.losses], losses)

    const first = await loop.run(start, data, 0.1, { steps: 1, rows: rowsFrom(0, 10) })
    const rest = await loop.run(first.weights, data, 0.1, { steps: 5, rows: rowsFrom(10, 50) })
    assert.deepEqual(sha256(rest.weights), sha256(single))

    // The smaller last batch: five examples left of 65.
    const tail = { images: data.images.subarray(60 * width), labels: data.labels.subarray(60) }
    const inLoop = await loop.run(whole.weights, data, 0.1, { steps: 1, rows: rowsFrom(60, 5) })
    assert.deepEqual(sha256(inLoop.weights), sha256((await step.run(single, tail, 0.1)).weights))
  })
}

test('one epoch of MNIST with batches of 10 brings the 2NN above 95 % of the test set', async t => {
  const model = readModel(mcmahan2nn(1), limits)
  await using loop = await TrainingSession.open(await compileTraining(model, options('loop'), ortRunner))
  const started = performance.now()
  const data = loadMnist('train', 60_000)
  const { weights } = await loop.run([...startValues(model).values()], data, 0.1, {
    steps: 6000,
    rows: rowsFrom(0, 60_000),
  })
  t.diagnostic(`6000 steps in ${((performance.now() - started) / 1000).toFixed(2)} s, data loading included`)
  const evaluation = await compileEvaluation(model, ortRunner)
  const held = loadMnist('t10k', 10_000)
  const results = await ortRunner(
    evaluation.model,
    new Map([
      ...evaluation.parameters.map(({ name }, index) => [name, weights[index] as Weights[0]] as const),
      [evaluation.features, { dtype: 'float32', shape: [10_000, 784], data: held.images }] as const,
      [evaluation.labels, { dtype: 'int32', shape: [10_000], data: held.labels }] as const,
    ]),
    [evaluation.hits],
  )
  const hits = (results.get(evaluation.hits) as Weights[0]).data as Int32Array
  const correct = hits.reduce((sum, hit) => sum + hit, 0)
  assert.ok(correct >= 9500, `${correct} of 10000`)
})

test('the graph without its weights compiles to the same train step', async () => {
  const model = readModel(mcmahanCnn(1), limits)
  const whole = await compileTraining(model, options('loop'), ortRunner)
  const bare = await compileTraining(withoutWeights(model), options('loop'), ortRunner)
  assert.deepEqual(bare, whole)
  assert.ok(whole.model.length < 10_000, `${whole.model.length}`)
})

test('the update of a weight matrix is part of its gradient product', async () => {
  const { model } = await compileTraining(readModel(mcmahan2nn(1), limits), options('step'), ortRunner)
  const { nodes } = graphFromProto(graphOf(readModel(model, limits)))
  for (const name of ['hidden1', 'hidden2', 'classifier']) {
    const update = nodes.find(({ op, inputs }) => op === 'Gemm' && inputs[2] === `${name}.weight`)
    assert.deepEqual(update?.outputs, [`${name}.weight.updated`])
  }
})

test('what cannot be trained is refused with its name and what to do', async () => {
  const w = randomTensor('float32', [4, 4], 1)
  const refuses = async (model: ReturnType<typeof modelOf>, expected: object): Promise<void> =>
    assert.rejects(compileTraining(model, options('loop'), ortRunner), expected)
  const hard = modelOf('float32', [4], { w }, [node('MatMul', ['x', 'w'], 'm'), node('Hardmax', ['m'], 'y')])
  await refuses(hard, { code: 'OPERATOR_UNSUPPORTED', nodeName: 'y_node' })
  const axis: Tensor = { dtype: 'int64', shape: [1], data: BigInt64Array.of(1n) }
  const oneScore = [node('MatMul', ['x', 'v'], 'm'), node('Squeeze', ['m', 'axis'], 'y')]
  const classless = modelOf('float32', [4], { v: randomTensor('float32', [4, 1], 1), axis }, oneScore)
  await refuses(classless, { code: 'OUTPUTS_UNSUPPORTED' })
  const old = modelOf('float32', [4], { w }, [node('Hardmax', ['x'], 't'), node('MatMul', ['t', 'w'], 'y')], 12)
  await refuses(old, { code: 'OPSET_UNSUPPORTED', nodeName: 't_node' })
  const weightless = modelOf('float32', [4], {}, [node('Relu', ['x'], 'y')])
  await refuses(weightless, { code: 'NO_PARAMETERS' })
  const stepped = [
    node('MatMul', ['x', 'w'], 'm'),
    node('ArgMax', ['m'], 'k', { axis: { int: 1 } }),
    node('Cast', ['k'], 'y', { to: { int: 1 } }),
  ]
  await refuses(modelOf('float32', [4], { w }, stepped), { code: 'NO_PARAMETERS' })
  const half = [
    node('MatMul', ['x', 'w'], 'm'),
    node('Cast', ['m'], 'h', { to: { int: 10 } }),
    node('Relu', ['h'], 'r'),
    node('Cast', ['r'], 'y', { to: { int: 1 } }),
  ]
  await refuses(modelOf('float32', [4], { w }, half), { code: 'DTYPE_UNSUPPORTED', nodeName: 'r_node' })
  const wrong = modelOf('float32', [5], { w }, [node('MatMul', ['x', 'w'], 'y')])
  await refuses(wrong, { code: 'SHAPES_UNKNOWN' })
  const fixed = modelOf('float32', [4], { w }, [node('MatMul', ['x', 'w'], 'y')])
  const input = graphOf(fixed).input[0]?.type?.value
  if (input?.case === 'tensorType')
    input.value.shape?.dim.splice(0, 1, {
      $typeName: 'onnx.TensorShapeProto.Dimension',
      value: { case: 'dimValue', value: 1n },
      denotation: '',
    })
  await refuses(fixed, { code: 'FIXED_BATCH' })
})

test('an operator without a gradient is no obstacle where no weight comes before it', async () => {
  const w = randomTensor('float32', [4, 3], 1)
  const model = modelOf('float32', [4], { w }, [node('Hardmax', ['x'], 't'), node('MatMul', ['t', 'w'], 'y')])
  assert.equal((await compileTraining(model, options('loop'), ortRunner)).classes, 3)
})

test('forward graphs of every supported opset train to the same bytes', async () => {
  const digests = new Set<string>()
  for (let opset = 11; opset <= 26; opset++) {
    const constants = {
      w: randomTensor('float32', [6, 4], 1),
      b: randomTensor('float32', [6], 2),
      v: randomTensor('float32', [3, 6], 3),
    }
    const model = modelOf(
      'float32',
      [4],
      constants,
      [
        node('Gemm', ['x', 'w', 'b'], 'h', { transB: { int: 1 } }),
        node('Relu', ['h'], 'r'),
        node('Gemm', ['r', 'v'], 'y', { transB: { int: 1 } }),
      ],
      opset,
    )
    await using loop = await TrainingSession.open(await compileTraining(model, options('loop'), ortRunner))
    const images = randomTensor('float32', [8, 4], 4).data as Float32Array
    const labels = Int32Array.of(0, 1, 2, 0, 1, 2, 0, 1)
    const { weights } = await loop.run([...startValues(model).values()], { images, labels }, 0.5, {
      steps: 4,
      rows: rowsFrom(0, 8),
    })
    digests.add(sha256(weights).join())
  }
  assert.equal(digests.size, 1)
})
