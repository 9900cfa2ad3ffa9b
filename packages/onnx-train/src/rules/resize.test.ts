import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Attribute } from '../graph.ts'
import { checkGradients, gradientTest, int64 } from '../testing/gradient-cases.ts'
import { node } from '../testing/model-of.ts'

/** Resize has no double kernel, and is linear. */
const linear = { dtype: 'float32', step: 1, tolerance: 1e-5, inputs: { x: [5, 2, 4, 3] } } as const
const text = (string: string): Attribute => ({ string })
const scales = (...values: number[]) =>
  ({ dtype: 'float32', shape: [values.length], data: Float32Array.from(values) }) as const

for (const mode of ['nearest', 'linear']) {
  for (const coordinates of ['half_pixel', 'asymmetric', 'pytorch_half_pixel', 'align_corners']) {
    gradientTest(`Resize ${mode} with ${coordinates}, by scales`, {
      ...linear,
      constants: { scales: scales(1, 1, 2, 2.5) },
      nodes: [
        node('Resize', ['x', '', 'scales'], 'y', {
          mode: text(mode),
          coordinate_transformation_mode: text(coordinates),
        }),
      ],
    })
  }
  gradientTest(`Resize ${mode} to smaller sizes`, {
    ...linear,
    constants: { two: int64([2], 2, 5), first: int64([1], 0), last: int64([1], 2) },
    nodes: [
      node('Shape', ['x'], 'shape'),
      node('Slice', ['shape', 'first', 'last'], 'kept'),
      node('Concat', ['kept', 'two'], 'sizes', { axis: { int: 0 } }),
      node('Resize', ['x', '', '', 'sizes'], 'y', { mode: text(mode) }),
    ],
  })
}
for (const nearestMode of ['floor', 'ceil', 'round_prefer_ceil', 'round_prefer_floor']) {
  gradientTest(`Resize to the nearest by ${nearestMode}`, {
    ...linear,
    constants: { scales: scales(1, 1, 1.5, 2) },
    nodes: [node('Resize', ['x', '', 'scales'], 'y', { nearest_mode: text(nearestMode) })],
  })
}
gradientTest('Resize of one spatial axis', {
  ...linear,
  inputs: { x: [5, 2, 4] },
  constants: { scales: scales(1, 1, 3) },
  nodes: [
    node('Resize', ['x', '', 'scales'], 'y', {
      coordinate_transformation_mode: text('asymmetric'),
      nearest_mode: text('floor'),
    }),
  ],
})
for (const [scale, size, nearestMode] of [
  // (o + ½)/scale − ½ is the middle of two inputs for some o, which float32 misses by 10⁻⁶: 4.5000005, 14.499999.
  [2.1, 16, 'round_prefer_floor'],
  [0.3, 33, 'round_prefer_ceil'],
  [0.6, 7, 'floor'],
] as const) {
  gradientTest(`Resize of ${size} by ${scale}, as float32 rounds`, {
    ...linear,
    inputs: { x: [2, 1, size, 2] },
    constants: { scales: scales(1, 1, scale, 2) },
    nodes: [node('Resize', ['x', '', 'scales'], 'y', { nearest_mode: text(nearestMode) })],
  })
}
gradientTest('Resize as TensorFlow takes the nearest', {
  ...linear,
  constants: { scales: scales(1, 1, 2, 1.5) },
  nodes: [
    node('Resize', ['x', '', 'scales'], 'y', {
      coordinate_transformation_mode: text('tf_half_pixel_for_nn'),
      nearest_mode: text('floor'),
    }),
  ],
})
gradientTest('Resize by scales that change no size, which is a copy', {
  ...linear,
  constants: { scales: scales(1, 1, 1.1, 1.2) },
  nodes: [node('Resize', ['x', '', 'scales'], 'y', { nearest_mode: text('floor') })],
})
gradientTest('Resize of axes counted from the end', {
  ...linear,
  constants: { scales: scales(2.5, 2) },
  nodes: [node('Resize', ['x', '', 'scales'], 'y', { mode: text('linear'), axes: { ints: [-1, -2] } })],
})

test('a Resize that keeps the aspect ratio is refused', async () => {
  const nodes = [
    node('Resize', ['x', '', '', 'sizes'], 'y', {
      axes: { ints: [2, 3] },
      keep_aspect_ratio_policy: text('not_larger'),
    }),
  ]
  await assert.rejects(checkGradients({ ...linear, constants: { sizes: int64([2], 5, 9) }, nodes }), {
    code: 'OPERATOR_FORM_UNSUPPORTED',
    nodeName: 'y_node',
  })
})
