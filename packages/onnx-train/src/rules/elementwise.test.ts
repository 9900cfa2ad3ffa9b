import { between, float64, type GradientCase, gradientTest, int64 } from '../testing/gradient-cases.ts'
import { node } from '../testing/model-of.ts'

const shape = [5, 3, 2]
const unary = (op: string, given: Partial<GradientCase> & { attributes?: Parameters<typeof node>[3] } = {}): void => {
  const { attributes, ...rest } = given
  gradientTest(`${op}${attributes === undefined ? '' : ` ${JSON.stringify(attributes)}`}`, {
    inputs: { x: shape },
    nodes: [node(op, ['x'], 'y', attributes)],
    ...rest,
  })
}
const positive = { inputs: { x: between(0.3, 2, shape) } }
const wide = { inputs: { x: between(-4, 4, shape) } }

for (const op of 'Abs Cos Exp LeakyRelu Neg Relu Selu Sigmoid Sin Tanh'.split(' ')) unary(op)
for (const op of ['Log', 'Reciprocal', 'Sqrt']) unary(op, positive)
unary('LeakyRelu', { attributes: { alpha: { float: 0.25 } } })
unary('Selu', { attributes: { alpha: { float: 1.5 }, gamma: { float: 0.75 } } })

/** Operators without a double kernel: their definition is differentiated instead. */
const single = (
  op: string,
  f: (x: number) => number,
  attributes?: Parameters<typeof node>[3],
  opset?: number,
  given: Partial<GradientCase> = wide,
): void =>
  unary(op, {
    dtype: 'float32',
    definition: ({ x }) => (x ?? []).map(f),
    ...(attributes === undefined ? {} : { attributes }),
    ...(opset === undefined ? {} : { opset }),
    ...given,
  })

const clamp = (x: number): number => Math.min(1, Math.max(0, x))
/** Series of the error function; good to 1e-15 for |x| < 4. */
const erf = (x: number): number => {
  let term = x
  let sum = x
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n
    sum += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}
const softplus = (x: number): number => Math.log1p(Math.exp(x))
single('Elu', x => (x > 0 ? x : Math.expm1(x)))
single('Elu', x => (x > 0 ? x : 0.5 * Math.expm1(x)), { alpha: { float: 0.5 } })
single('Celu', x => (x > 0 ? x : 2 * Math.expm1(x / 2)), { alpha: { float: 2 } })
single('Erf', erf, undefined, 18, { inputs: { x: between(-2, 2, shape) } })
single('HardSigmoid', x => clamp(0.25 * x + 0.5), { alpha: { float: 0.25 }, beta: { float: 0.5 } })
single('HardSwish', x => x * clamp(x / 6 + 0.5))
single('Softplus', softplus)
single('Softsign', x => x / (1 + Math.abs(x)))
single('Mish', x => x * Math.tanh(softplus(x)))
single('Gelu', x => (x / 2) * (1 + erf(x / Math.SQRT2)), undefined, 20)
single(
  'Gelu',
  x => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  { approximate: { string: 'tanh' } },
  20,
)
single('Relu', x => Math.max(0, x))
single('LeakyRelu', x => (x > 0 ? x : 0.125 * x), { alpha: { float: 0.125 } })

for (const op of ['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min']) {
  for (const [a, b] of [
    [
      [5, 3],
      [1, 3],
    ],
    [[5, 2, 3], [3]],
    [
      [5, 2, 3],
      [2, 1],
    ],
    [
      [5, 1, 3],
      [4, 1],
    ],
    [[5], [4, 1]],
    [[5, 3], []],
  ] as const) {
    gradientTest(`${op} of [${a}] and [${b}]`, {
      inputs: { x: a, b: op === 'Div' ? between(0.5, 2, b) : b },
      nodes: [node(op, ['x', 'b'], 'y')],
    })
  }
}
gradientTest('Mul of two values that follow the batch', {
  inputs: { x: [5, 3] },
  nodes: [node('Tanh', ['x'], 's'), node('Mul', ['x', 's'], 'y')],
})
for (const op of ['Sum', 'Mean', 'Max', 'Min']) {
  gradientTest(`${op} of three operands`, {
    inputs: { x: [5, 2, 3], a: [1, 3], b: [2, 1] },
    nodes: [node(op, ['a', 'x', 'b'], 'y')],
    // Mean has no double kernel, and is linear.
    ...(op === 'Mean' ? { dtype: 'float32' as const, step: 1 } : {}),
  })
}
for (const exponent of [0, 1, 2, 3, 0.5, -1.5]) {
  gradientTest(`Pow with the constant ${exponent}`, {
    ...positive,
    constants: { p: float64([], exponent) },
    nodes: [node('Pow', ['x', 'p'], 'y')],
  })
}
gradientTest('Pow of negative values with an integer exponent', {
  inputs: { x: shape },
  constants: { p: int64([2], 2, 3) },
  nodes: [node('Pow', ['x', 'p'], 'y')],
})
gradientTest('Pow with an exponent that is trained', {
  inputs: { x: between(0.3, 2, shape), p: [3, 1] },
  nodes: [node('Pow', ['x', 'p'], 'y')],
})
gradientTest('Where', {
  inputs: { x: [5, 3], b: [3] },
  constants: { zero: float64([], 0) },
  nodes: [node('Greater', ['b', 'zero'], 'c'), node('Where', ['c', 'x', 'b'], 'y')],
})
gradientTest('CastLike, whose second operand only lends its type', {
  inputs: { x: [2, 3] },
  constants: { like: { dtype: 'float64', shape: [], data: Float64Array.of(7) } },
  nodes: [node('CastLike', ['x', 'like'], 's'), node('Mul', ['s', 's'], 'y')],
})

gradientTest('Cast to float32 and back', {
  inputs: { x: [5, 3] },
  // Float32 rounds: the difference quotient needs a step that dwarfs it, and the cast is linear.
  step: 1,
  tolerance: 1e-6,
  nodes: [node('Cast', ['x'], 's', { to: { int: 1 } }), node('Cast', ['s'], 'y', { to: { int: 11 } })],
})
gradientTest('Clip', {
  ...wide,
  constants: { low: float64([], -1), high: float64([], 2) },
  nodes: [node('Clip', ['x', 'low', 'high'], 'y')],
})
gradientTest('Clip from below', {
  ...wide,
  constants: { low: float64([], -1), high: float64([], Number.POSITIVE_INFINITY) },
  nodes: [node('Clip', ['x', 'low', 'high'], 'a'), node('Clip', ['a', 'low'], 'y')],
})
gradientTest('PRelu with a slope for each channel', {
  inputs: { x: [5, 3, 2], slope: [3, 1] },
  nodes: [node('PRelu', ['x', 'slope'], 'y')],
})
for (const op of ['Softmax', 'LogSoftmax']) {
  for (const axis of [-1, 1]) {
    gradientTest(`${op} along axis ${axis}`, {
      inputs: { x: [5, 3, 4] },
      nodes: [node(op, ['x'], 'y', { axis: { int: axis } })],
    })
  }
}
gradientTest('Pow with exponents of which one is 0, also where the base is', {
  // x⁰ is 1 everywhere: its slope is 0, and that of x¹ at 0 is 1.
  inputs: { x: float64([2, 3], 0.5, 1, 0, 2, 0, 0) },
  constants: { p: float64([3], 2, 1, 0) },
  nodes: [node('Pow', ['x', 'p'], 'y')],
})
