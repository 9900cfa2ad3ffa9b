import { gradientTest } from '../testing/gradient-cases.ts'
import { node } from '../testing/model-of.ts'

for (const [a, b] of [
  [
    [5, 3],
    [3, 2],
  ],
  [
    [5, 4, 3],
    [3, 2],
  ],
  [
    [5, 2, 4, 3],
    [3, 2],
  ],
  [
    [5, 4, 3],
    [1, 3, 2],
  ],
  [
    [5, 1, 4, 3],
    [2, 3, 2],
  ],
  [[5, 3], [3]],
  [[5, 2, 3], [3]],
  [
    [5, 3],
    [2, 3, 4],
  ],
] as const) {
  gradientTest(`MatMul of [${a}] and [${b}]`, {
    inputs: { x: a, b },
    nodes: [node('MatMul', ['x', 'b'], 'y')],
  })
}
gradientTest('a MatMul whose left operand is the trained one', {
  inputs: { a: [4, 3], x: [5, 3, 2] },
  nodes: [node('MatMul', ['a', 'x'], 'y')],
})
gradientTest('a vector times matrices of the batch', {
  inputs: { a: [3], x: [5, 3, 2] },
  nodes: [node('MatMul', ['a', 'x'], 'y')],
})
gradientTest('MatMul of two values that follow the batch, as attention does', {
  inputs: { x: [5, 4, 3] },
  nodes: [node('Transpose', ['x'], 't', { perm: { ints: [0, 2, 1] } }), node('MatMul', ['x', 't'], 'y')],
})
