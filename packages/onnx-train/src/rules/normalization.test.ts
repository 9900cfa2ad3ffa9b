import { type Definition, float64, type GradientCase, gradientTest } from '../testing/gradient-cases.ts'
import { node } from '../testing/model-of.ts'

const running = { mean: float64([3], 0.5, -0.25, 1), variance: float64([3], 0.5, 1, 2) }
for (const x of [
  [5, 3],
  [5, 3, 4],
  [5, 3, 2, 4],
]) {
  const inputs = { x, scale: [3], bias: [3] }
  const batchNorm = (trainingMode: number, outputs: string[]): GradientCase['nodes'] => [
    node('BatchNormalization', ['x', 'scale', 'bias', 'mean', 'variance'], outputs, {
      training_mode: { int: trainingMode },
      epsilon: { float: 0.125 },
    }),
  ]
  gradientTest(`BatchNormalization by the moments of a batch [${x}]`, {
    inputs,
    constants: running,
    nodes: batchNorm(1, ['y', 'next_mean', 'next_variance']),
  })
  gradientTest(`BatchNormalization by running statistics, [${x}]`, {
    inputs,
    constants: running,
    nodes: batchNorm(0, ['y']),
  })
}
gradientTest('two BatchNormalizations one after the other', {
  inputs: { x: [5, 3], scale: [3], bias: [3] },
  constants: running,
  nodes: [
    node('BatchNormalization', ['x', 'scale', 'bias', 'mean', 'variance'], ['a', 'mean1', 'variance1'], {
      training_mode: { int: 1 },
    }),
    node('Sigmoid', ['a'], 's'),
    node('BatchNormalization', ['s', 'scale', 'bias', 'mean', 'variance'], ['y', 'mean2', 'variance2'], {
      training_mode: { int: 1 },
    }),
  ],
})

for (const axis of [-1, 1]) {
  const vector = axis === 1 ? [3, 4] : [4]
  gradientTest(`LayerNormalization from axis ${axis} in doubles`, {
    inputs: { x: [5, 3, 4], scale: vector, bias: vector },
    nodes: [node('LayerNormalization', ['x', 'scale', 'bias'], 'y', { axis: { int: axis } })],
  })
}
gradientTest('LayerNormalization without bias in doubles', {
  inputs: { x: [5, 4], scale: [4] },
  nodes: [node('LayerNormalization', ['x', 'scale'], 'y', { epsilon: { float: 0.25 } })],
})

/** Rows of `width` elements, each by its own mean and deviation. */
const normaliseRows = (values: Float64Array, width: number, epsilon: number): Float64Array => {
  const result = values.slice()
  for (let start = 0; start < values.length; start += width) {
    const row = result.subarray(start, start + width)
    const mean = row.reduce((sum, value) => sum + value, 0) / width
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width
    row.forEach((value, index) => {
      row[index] = (value - mean) / Math.sqrt(variance + epsilon)
    })
  }
  return result
}
const scaled =
  (width: number, epsilon: number, channelOf: (index: number) => number): Definition =>
  ({ x = new Float64Array(), scale = [], bias = [] }) =>
    normaliseRows(x, width, epsilon).map(
      (value, index) => value * (scale[channelOf(index)] ?? 0) + (bias[channelOf(index)] ?? 0),
    )

gradientTest('LayerNormalization by the moments that the operator returns', {
  dtype: 'float32',
  inputs: { x: [5, 3, 4], scale: [4], bias: [4] },
  definition: scaled(4, 0.125, index => index % 4),
  nodes: [node('LayerNormalization', ['x', 'scale', 'bias'], 'y', { epsilon: { float: 0.125 } })],
})
gradientTest('InstanceNormalization', {
  dtype: 'float32',
  inputs: { x: [5, 3, 2, 4], scale: [3], bias: [3] },
  definition: scaled(8, 0.125, index => Math.floor(index / 8) % 3),
  nodes: [node('InstanceNormalization', ['x', 'scale', 'bias'], 'y', { epsilon: { float: 0.125 } })],
})
gradientTest('GroupNormalization with scale and bias of channels', {
  dtype: 'float32',
  opset: 21,
  inputs: { x: [5, 6, 2, 2], scale: [6], bias: [6] },
  definition: scaled(12, 0.125, index => Math.floor(index / 4) % 6),
  nodes: [
    node('GroupNormalization', ['x', 'scale', 'bias'], 'y', { num_groups: { int: 2 }, epsilon: { float: 0.125 } }),
  ],
})
gradientTest('GroupNormalization with scale and bias of groups', {
  dtype: 'float32',
  opset: 18,
  inputs: { x: [5, 6, 2, 2], scale: [2], bias: [2] },
  definition: scaled(12, 0.125, index => Math.floor(index / 12) % 2),
  nodes: [
    node('GroupNormalization', ['x', 'scale', 'bias'], 'y', { num_groups: { int: 2 }, epsilon: { float: 0.125 } }),
  ],
})
