import {
  biasGradient,
  type Direction,
  type DirectionGradients,
  perStep,
  recurrentGradient,
  splitGates,
  stackSteps,
  statesBefore,
} from './recurrence.ts'

/**
 * LSTM (Hochreiter & Schmidhuber 1997): c = f·c₋₁ + i·g, h = o·tanh(c). With ∂h and ∂c the gradients of both states, those
 * of the gates' arguments are [∂c, ∂h, ∂c, ∂c] times slopes that are known for all steps at once.
 */
const differentiateLstm = (direction: Direction): DirectionGradients => {
  const { context, order, x, before, w, r, biases, initial, finalGradients, outputGradients } = direction
  const { emitter } = context
  const call = (op: string, ...inputs: readonly string[]): string => emitter.call(op, ...inputs)
  const gemm = (...inputs: readonly string[]): string => emitter.emit('Gemm', inputs, { transB: 1 })
  const one = emitter.scalar('float32', 1)

  // ONNX orders the gates input, output, forget, cell; the first three are sigmoids and are computed together.
  const inputs = biases === undefined ? gemm(x, w) : gemm(x, w, call('Add', ...biases))
  const [open = '', candidate = ''] = splitGates(direction, gemm(before, r, inputs), [3, 1])
  const sigmoids = call('Sigmoid', open)
  const [i = '', o = '', f = ''] = splitGates(direction, sigmoids, [1, 1, 1])
  const sigmoidSlopes = call('Sub', sigmoids, call('Mul', sigmoids, sigmoids))
  const g = call('Tanh', candidate)
  const slopeOfG = call('Sub', one, call('Mul', g, g))

  const forget = perStep(direction, f)
  const added = perStep(direction, call('Mul', i, g))
  const cells: string[] = []
  let cell = initial[1]
  for (const time of order) {
    const kept = cell === undefined ? undefined : call('Mul', forget[time] ?? '', cell)
    cell = kept === undefined ? (added[time] ?? '') : call('Add', kept, added[time] ?? '')
    cells[time] = cell
  }
  const c = stackSteps(direction, cells)
  const cellBefore = cellsBefore(direction, cells, c)
  const squashed = call('Tanh', c)
  const exposed = perStep(direction, call('Mul', o, call('Sub', one, call('Mul', squashed, squashed))))
  const row = (...parts: readonly string[]): string => emitter.emit('Concat', parts, { axis: 1 })
  const bySigmoids = call('Mul', row(g, squashed, cellBefore), sigmoidSlopes)
  const slope = perStep(direction, row(bySigmoids, call('Mul', i, slopeOfG)))

  const gates: string[] = []
  let [dH, dC] = finalGradients
  let dGates: string | undefined
  for (const time of order.toReversed()) {
    const fromOutside = outputGradients[time]
    if (dGates !== undefined)
      dH = emitter.emit('Gemm', fromOutside === undefined ? [dGates, r] : [dGates, r, fromOutside])
    else if (fromOutside !== undefined) dH = dH === undefined ? fromOutside : call('Add', dH, fromOutside)
    dH ??= call('Mul', dC ?? '', emitter.scalar('float32', 0))
    const throughH = call('Mul', dH, exposed[time] ?? '')
    dC = dC === undefined ? throughH : call('Add', dC, throughH)
    dGates = call('Mul', row(dC, dH, dC, dC), slope[time] ?? '')
    gates[time] = dGates
    dC = call('Mul', dC, forget[time] ?? '')
  }
  const products = stackSteps(direction, gates)
  const bias = biasGradient(direction, products)
  return {
    products,
    r: emitter.emit('Gemm', [products, before], { transA: 1 }),
    biases: [bias, bias],
    initial: [call('Gemm', dGates ?? '', r), dC ?? ''],
  }
}

/** What each step began with [T·B, H]. */
const cellsBefore = (direction: Direction, cells: readonly string[], stacked: string): string => {
  const { context, order, hidden, initial } = direction
  const [, first] = initial
  if (first === undefined) {
    const asSteps = context.emitter.call('Reshape', stacked, context.emitter.int64s([order.length, -1, hidden]))
    return statesBefore(direction, asSteps, undefined)
  }
  const before: string[] = []
  for (const [position, time] of order.entries()) before[time] = cells[order[position - 1] ?? -1] ?? first
  return stackSteps(direction, before)
}

export const lstmGradient = recurrentGradient(differentiateLstm)
