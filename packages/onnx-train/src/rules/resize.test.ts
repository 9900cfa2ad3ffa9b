import type { Attribute } from '../graph.ts'
import { gradientTest, int64 } from '../testing/gradient-cases.ts'
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
