import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Attribute } from '../graph.ts'
import { checkGradients, type Definition, type GradientCase, gradientTest, int64 } from '../testing/gradient-cases.ts'
import { node } from '../testing/model-of.ts'

const [steps, batch, width, hidden] = [3, 2, 3, 2]
const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value))
const at = (list: ArrayLike<number> | undefined, index: number): number => list?.[index] ?? 0

/** States after a step, from gate pre-activations of the input [gates·H] and the states before, of one example. */
type CellByDefinition = (given: {
  readonly fromInput: readonly number[]
  readonly fromHidden: (h: readonly number[], gate: number, unit: number) => number
  readonly recurrentBias: (gate: number, unit: number) => number
  readonly h: readonly number[]
  readonly c: readonly number[]
}) => { readonly h: number[]; readonly c: number[] }

const units = [0, 1]

const lstmCell: CellByDefinition = ({ fromInput, fromHidden, recurrentBias, h, c }) => {
  const gate = (index: number, unit: number): number =>
    at(fromInput, index * hidden + unit) + fromHidden(h, index, unit) + recurrentBias(index, unit)
  const next = units.map(u => sigmoid(gate(2, u)) * at(c, u) + sigmoid(gate(0, u)) * Math.tanh(gate(3, u)))
  return { h: units.map(u => sigmoid(gate(1, u)) * Math.tanh(at(next, u))), c: next }
}

const gruCell =
  (resetAfter: boolean): CellByDefinition =>
  ({ fromInput, fromHidden, recurrentBias, h, c }) => {
    const gate = (index: number, unit: number): number =>
      sigmoid(at(fromInput, index * hidden + unit) + fromHidden(h, index, unit) + recurrentBias(index, unit))
    const reset = units.map(u => gate(1, u))
    const candidate = units.map(u => {
      const input = at(fromInput, 2 * hidden + u)
      if (resetAfter) return Math.tanh(input + at(reset, u) * (fromHidden(h, 2, u) + recurrentBias(2, u)))
      const kept = units.map(v => at(reset, v) * at(h, v))
      return Math.tanh(input + fromHidden(kept, 2, u) + recurrentBias(2, u))
    })
    return { h: units.map(u => (1 - gate(0, u)) * at(candidate, u) + gate(0, u) * at(h, u)), c: [...c] }
  }

/** Y [steps, directions, batch, hidden], or with `last` the last hidden states [directions, batch, hidden]. */
const byDefinition =
  (gates: number, cell: CellByDefinition, ways: readonly string[], last: boolean): Definition =>
  ({ x, w, r, b, h0, c0 }) => {
    const y: number[] = []
    const lasts: number[] = []
    for (const [d, way] of ways.entries()) {
      for (let n = 0; n < batch; n++) {
        const state = (from: Float64Array | undefined): number[] =>
          units.map(u => at(from, (d * batch + n) * hidden + u))
        let now = { h: state(h0), c: state(c0) }
        for (let index = 0; index < steps; index++) {
          const t = way === 'reverse' ? steps - 1 - index : index
          const row = (g: number, u: number): number => d * gates * hidden + g * hidden + u
          const fromInput = Array.from({ length: gates * hidden }, (_, position) => {
            let sum = at(b, d * 2 * gates * hidden + position)
            for (let i = 0; i < width; i++) {
              sum += at(x, (t * batch + n) * width + i) * at(w, (d * gates * hidden + position) * width + i)
            }
            return sum
          })
          now = cell({
            fromInput,
            fromHidden: (h, g, u) => units.reduce((sum, v) => sum + at(h, v) * at(r, row(g, u) * hidden + v), 0),
            recurrentBias: (g, u) => at(b, d * 2 * gates * hidden + (gates + g) * hidden + u),
            ...now,
          })
          for (const u of units) y[((t * ways.length + d) * batch + n) * hidden + u] = at(now.h, u)
        }
        for (const u of units) lasts[(d * batch + n) * hidden + u] = at(now.h, u)
      }
    }
    return last ? lasts : y
  }

/** Sequences of the batch are [batch, steps, width]; the layer reads them by steps. */
const layer = (
  op: string,
  gates: number,
  cell: CellByDefinition,
  direction: string,
  given: { bias: boolean; initial: boolean; last: boolean; attributes?: Record<string, Attribute> },
): GradientCase => {
  const ways = direction === 'bidirectional' ? ['forward', 'reverse'] : [direction]
  const d = ways.length
  const { bias, initial, last } = given
  const states = op === 'LSTM' ? ['h0', 'c0'] : ['h0']
  return {
    dtype: 'float32',
    tolerance: 5e-6,
    inputs: {
      sequences: [steps, batch, width],
      w: [d, gates * hidden, width],
      r: [d, gates * hidden, hidden],
      ...(bias ? { b: [d, 2 * gates * hidden] } : {}),
      ...(initial ? Object.fromEntries(states.map(name => [name, [d, batch, hidden]])) : {}),
    },
    definition: ({ sequences, ...rest }) =>
      byDefinition(gates, cell, ways, last)({ x: sequences ?? new Float64Array(), ...rest }),
    nodes: [
      node(
        op,
        ['sequences', 'w', 'r', bias ? 'b' : '', '', ...(initial ? states : [])],
        last ? ['', 'y'] : ['y', 'h_last'],
        { hidden_size: { int: hidden }, direction: { string: direction }, ...given.attributes },
      ),
      ...(last ? [node('Identity', ['y'], 'result')] : []),
    ],
  }
}

for (const direction of ['forward', 'reverse', 'bidirectional']) {
  gradientTest(
    `LSTM, ${direction}, all states`,
    layer('LSTM', 4, lstmCell, direction, { bias: true, initial: true, last: false }),
  )
  for (const after of [0, 1]) {
    const attributes = { linear_before_reset: { int: after } }
    gradientTest(
      `GRU, ${direction}, reset gate ${after === 1 ? 'after' : 'before'} the product`,
      layer('GRU', 3, gruCell(after === 1), direction, { bias: true, initial: true, last: false, attributes }),
    )
  }
}
gradientTest(
  'LSTM without bias and initial states, last state only',
  layer('LSTM', 4, lstmCell, 'bidirectional', { bias: false, initial: false, last: true }),
)
gradientTest(
  'GRU without bias and initial state, last state only',
  layer('GRU', 3, gruCell(true), 'forward', {
    bias: false,
    initial: false,
    last: true,
    attributes: { linear_before_reset: { int: 1 } },
  }),
)

for (const [direction, position] of [
  ['forward', -1],
  ['reverse', 0],
] as const) {
  // As exporters write it: initial states of zeros that are computed, the last state taken from all of them.
  const last = layer('LSTM', 4, lstmCell, direction, { bias: true, initial: false, last: true })
  const attributes = { hidden_size: { int: hidden }, direction: { string: direction } }
  gradientTest(`LSTM, ${direction}, zeros as initial states, last state gathered from all`, {
    ...last,
    constants: { sizes: int64([3], 1, batch, hidden), direction: int64([1], 1), position: int64([], position) },
    nodes: [
      node('ConstantOfShape', ['sizes'], 'zeros'),
      node('LSTM', ['sequences', 'w', 'r', 'b', '', 'zeros', 'zeros'], ['all', ''], attributes),
      node('Squeeze', ['all', 'direction'], 'states'),
      node('Transpose', ['states'], 'by_example', { perm: { ints: [1, 0, 2] } }),
      node('Gather', ['by_example', 'position'], 'y', { axis: { int: 1 } }),
    ],
  })
}
for (const after of [true, false]) {
  const attributes = { linear_before_reset: { int: after ? 1 : 0 } }
  const single = layer('GRU', 3, gruCell(after), 'forward', { bias: true, initial: true, last: false, attributes })
  gradientTest(`GRU, reset gate ${after ? 'after' : 'before'} the product, whose last state counts twice`, {
    ...single,
    definition: inputs => {
      const states = [...(single.definition?.(inputs) ?? [])]
      return states.map((state, index) => (index < states.length - batch * hidden ? state : 2 * state))
    },
    constants: { pads: int64([8], steps - 1, 0, 0, 0, 0, 0, 0, 0), front: int64([1], 0) },
    nodes: [
      ...single.nodes,
      node('Unsqueeze', ['h_last', 'front'], 'lifted'),
      node('Pad', ['lifted', 'pads'], 'padded'),
      node('Add', ['y', 'padded'], 'result'),
    ],
  })
}

test('a recurrent layer takes batches of any size and is refused with sequence lengths', async () => {
  const nodes = (lengths: string): GradientCase['nodes'] => [
    node('Transpose', ['x'], 't', { perm: { ints: [1, 0, 2] } }),
    node('LSTM', ['t', 'w', 'r', '', lengths], 'y', { hidden_size: { int: hidden } }),
  ]
  const inputs = { x: [5, steps, width], w: [1, 4 * hidden, width], r: [1, 4 * hidden, hidden] }
  const definition: Definition = ({ x = new Float64Array(), w, r }) => {
    // Two examples at a time, as the definition above has it; the last of five comes twice.
    const rows: number[] = []
    for (const [first, second] of [
      [0, 1],
      [2, 3],
      [4, 4],
    ] as const) {
      const pair = new Float64Array(steps * 2 * width)
      for (let t = 0; t < steps; t++) {
        for (let i = 0; i < width; i++) {
          pair[(t * 2 + 0) * width + i] = at(x, (first * steps + t) * width + i)
          pair[(t * 2 + 1) * width + i] = at(x, (second * steps + t) * width + i)
        }
      }
      const y = byDefinition(4, lstmCell, ['forward'], false)({ x: pair, ...(w && r ? { w, r } : {}) })
      for (let t = 0; t < steps; t++) {
        for (const [slot, example] of [first, second].entries()) {
          for (const u of units) rows[(t * 5 + example) * hidden + u] = at(y, (t * 2 + slot) * hidden + u)
        }
      }
    }
    return rows
  }
  await checkGradients({ dtype: 'float32', tolerance: 5e-6, inputs, definition, nodes: nodes('') })
  const constants = { lengths: { dtype: 'int32', shape: [5], data: new Int32Array(5).fill(3) } as const }
  await assert.rejects(checkGradients({ dtype: 'float32', inputs, constants, nodes: nodes('lengths') }), {
    code: 'OPERATOR_FORM_UNSUPPORTED',
    nodeName: 'y_node',
  })
})
