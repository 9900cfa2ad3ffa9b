import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Tensor } from '../tensor.ts'
import { compiledGradients, relativeError } from '../testing/gradients.ts'
import { modelOf, node, randomTensor } from '../testing/model-of.ts'
import {
  convByDefinition,
  crossEntropyByDefinition,
  type Image,
  maxPoolByDefinition,
} from '../testing/reference-cnn.ts'

type Variant = {
  readonly kernel: number
  readonly stride: number
  readonly dilation: number
  readonly padBegin: number
  readonly padEnd: number
  readonly pool: number
}

const size = 10
const labels = Int32Array.of(2, 0, 1)

/** Two convolutions of the variant's kind, pooled after the first; the logits are the flattened second. */
const build = (variant: Variant) => {
  const { kernel, stride, dilation, padBegin, padEnd, pool } = variant
  const windows = {
    strides: { ints: [stride, stride] },
    dilations: { ints: [dilation, dilation] },
    pads: { ints: [padBegin, padBegin, padEnd, padEnd] },
  }
  const weights: Record<string, Tensor> = {
    w1: randomTensor('float32', [3, 2, kernel, kernel], 2),
    b1: randomTensor('float32', [3], 3),
    w2: randomTensor('float32', [2, 3, 2, 2], 4),
    b2: randomTensor('float32', [2], 5),
  }
  const nodes = [
    node('Conv', ['x', 'w1', 'b1'], 'c1', windows),
    node('Relu', ['c1'], 'r1'),
    node('MaxPool', ['r1'], 'p1', { kernel_shape: { ints: [pool, pool] }, strides: { ints: [pool, pool] } }),
    node('Conv', ['p1', 'w2', 'b2'], 'c2', { pads: { ints: [1, 1, 0, 0] } }),
    node('Flatten', ['c2'], 'y'),
  ]
  return { model: modelOf('float32', [2, size, size], weights, nodes), weights }
}

const meanLoss = (x: Image, weights: Record<string, Image>, variant: Variant): number => {
  const image = (name: string): Image => weights[name] as Image
  const conv1 = convByDefinition(x, image('w1'), image('b1').data, variant)
  const relu = { ...conv1, data: conv1.data.map(value => Math.max(0, value)) }
  const pooled = maxPoolByDefinition(relu, variant.pool)
  const second = { stride: 1, dilation: 1, padBegin: 1, padEnd: 0 }
  const { data } = convByDefinition(pooled, image('w2'), image('b2').data, second)
  return crossEntropyByDefinition(data, data.length / labels.length, labels)
}

const toImage = ({ shape, data }: Tensor): Image => ({
  shape: shape as unknown as Image['shape'],
  data: Float64Array.from(data as Float32Array),
})

const variants: Record<string, Variant> = {
  'same padding, as in the CNN of McMahan': { kernel: 5, stride: 1, dilation: 1, padBegin: 2, padEnd: 2, pool: 2 },
  'a stride that leaves a row unread': { kernel: 3, stride: 2, dilation: 1, padBegin: 0, padEnd: 0, pool: 2 },
  'dilation and one-sided padding': { kernel: 3, stride: 1, dilation: 2, padBegin: 0, padEnd: 1, pool: 2 },
  'stride with dilation': { kernel: 2, stride: 2, dilation: 3, padBegin: 1, padEnd: 1, pool: 2 },
  'pooling that leaves rows over': { kernel: 3, stride: 1, dilation: 1, padBegin: 1, padEnd: 1, pool: 3 },
}

for (const [name, variant] of Object.entries(variants)) {
  test(`Conv, Relu and MaxPool agree with central differences in doubles: ${name}`, async () => {
    const { model, weights } = build(variant)
    const x = randomTensor('float32', [labels.length, 2, size, size], 1)
    const gradients = await compiledGradients(model, { x, labels })
    const images = Object.fromEntries(Object.entries(weights).map(([key, tensor]) => [key, toImage(tensor)]))
    for (const [key, { data }] of Object.entries(images)) {
      const expected = data.map((value, index) => {
        const at = (moved: number): number => {
          data[index] = moved
          const loss = meanLoss(toImage(x), images, variant)
          data[index] = value
          return loss
        }
        return (at(value + 1e-6) - at(value - 1e-6)) / 2e-6
      })
      const error = relativeError(gradients.get(key) ?? new Float64Array(), expected)
      assert.ok(error < 2e-6, `${key}: ${error}`)
    }
  })
}

test('elements of a pooling window that tie share the gradient equally', async () => {
  // All four pixels are equal, so each 1×1 weight path gets a quarter of dY; with one channel dW = Σ dY·x.
  const model = modelOf(
    'float32',
    [1, 2, 2],
    { w: { dtype: 'float32', shape: [2, 1, 1, 1], data: Float32Array.of(1, -1) } },
    [
      node('Conv', ['x', 'w'], 'c'),
      node('MaxPool', ['c'], 'p', { kernel_shape: { ints: [2, 2] }, strides: { ints: [2, 2] } }),
      node('Flatten', ['p'], 'y'),
    ],
  )
  const x: Tensor = { dtype: 'float32', shape: [1, 1, 2, 2], data: Float32Array.of(3, 3, 3, 3) }
  const gradient = (await compiledGradients(model, { x, labels: Int32Array.of(1) })).get('w')
  // logits (3, −3): softmax(0) = 1/(1+e⁻⁶); d/dw = 3·(p₀, p₁ − 1) = 3·(p₀, −p₀).
  const p0 = 1 / (1 + Math.exp(-6))
  for (const [index, sign] of [1, -1].entries()) {
    assert.ok(Math.abs((gradient?.[index] ?? 0) - sign * 3 * p0) < 1e-6)
  }
})
