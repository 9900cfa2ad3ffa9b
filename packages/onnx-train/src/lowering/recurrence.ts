import type { Emitter } from '../emitter.ts'
import { inputAt, intAttribute, type Node, nodeLabel, stringAttribute } from '../graph.ts'
import { OnnxModelError } from '../onnx-model-error.ts'
import type { ValueType } from '../values.ts'

/** Sequences longer than this make graphs too large to be of use. */
const maxSteps = 1000

/** A recurrent node, taken apart. X is [steps, B, I], as layout 0 has it. */
export type Recurrence = {
  readonly node: Node
  readonly emitter: Emitter
  readonly steps: number
  readonly hidden: number
  readonly directions: readonly ('forward' | 'reverse')[]
  readonly dtype: 'float32' | 'float64'
}

/** One direction's weights as matrices. */
export type Direction = {
  /** [gates·H, I], [gates·H, H] */
  readonly w: string
  readonly r: string
  /** [gates·H] each: input and recurrent bias; undefined where the node has none. */
  readonly biases: readonly [string, string] | undefined
}

/** Emits one step: states [B, H] after it, from the step's inputs [B, gates·H] and the states before. */
export type Cell = (inputs: string, states: readonly string[]) => readonly string[]

/** Emits what a cell needs once a direction; the gates' input weights and a bias [gates·H] for all steps at once. */
export type CellFactory = (direction: Direction) => { readonly bias: string | undefined; readonly cell: Cell }

/** Activations of each operator's gates, the only ones that are unrolled. */
const activations: ReadonlyMap<string, readonly string[]> = new Map([
  ['GRU', ['Sigmoid', 'Tanh']],
  ['LSTM', ['Sigmoid', 'Tanh', 'Tanh']],
])

export const isRecurrent = ({ op }: Node): boolean => activations.has(op)

/** Throws OPERATOR_FORM_UNSUPPORTED for a recurrent node of a form that is not unrolled. */
export const checkRecurrentForm = (node: Node): void => {
  const usual = activations.get(node.op) ?? []
  if (inputAt(node, 4) !== undefined) {
    refuse(node, 'sequence lengths', 'Pad all sequences to one length and leave the input sequence_lens out.')
  }
  if (inputAt(node, 7) !== undefined) refuse(node, 'peepholes', 'Use cells without peepholes.')
  for (const name of ['activations', 'activation_alpha', 'activation_beta', 'clip']) {
    if (node.attributes.has(name) && !isUsual(node, name, usual)) refuse(node, name, `Use ${usual.join(', ')}.`)
  }
  if (intAttribute(node, 'input_forget', 0) === 1) refuse(node, 'coupled gates', 'Set input_forget = 0.')
  if (intAttribute(node, 'layout', 0) === 1) refuse(node, 'layout 1', 'Transpose its inputs and use layout 0.')
}

const refuse = (node: Node, form: string, remedy: string): never => {
  throw new OnnxModelError('OPERATOR_FORM_UNSUPPORTED', `${node.op} with ${form} cannot be trained yet`, remedy, {
    nodeName: nodeLabel(node),
  })
}

/** Reads a recurrent node that was checked. Throws OPERATOR_FORM_UNSUPPORTED for sequences that vary or are too long. */
export const readRecurrence = (node: Node, emitter: Emitter, values: ReadonlyMap<string, ValueType>): Recurrence => {
  const type = values.get(node.inputs[0] ?? '')
  const steps = type?.shape[0]
  if (typeof steps !== 'number')
    return refuse(node, 'a sequence length that varies', 'Export with a fixed sequence length.')
  if (steps > maxSteps) refuse(node, `${steps} steps`, `Cut sequences to at most ${maxSteps} steps.`)
  const hidden = values.get(node.inputs[2] ?? '')?.shape[2]
  const declared = stringAttribute(node, 'direction', 'forward')
  return {
    node,
    emitter,
    steps,
    hidden: typeof hidden === 'number' ? hidden : intAttribute(node, 'hidden_size', 0),
    directions:
      declared === 'bidirectional' ? ['forward', 'reverse'] : [declared === 'reverse' ? 'reverse' : 'forward'],
    dtype: type?.dtype === 'float64' ? 'float64' : 'float32',
  }
}

const isUsual = (node: Node, name: string, usual: readonly string[]): boolean => {
  const attribute = node.attributes.get(name)
  if (attribute === undefined || name !== 'activations' || !('strings' in attribute)) return false
  return attribute.strings.every((value, index) => value === usual[index % usual.length])
}

/**
 * Emits the recurrence step by step under the node's own output names: the inputs' product for all steps at once, then
 * one cell a step. Outputs: states of all steps [steps, directions, B, H], then each last state [directions, B, H].
 */
export const emitRecurrence = (recurrence: Recurrence, states: number, factory: CellFactory): void => {
  const { node, emitter, directions } = recurrence
  const runs = directions.map((way, index) => emitDirection(recurrence, states, factory, way, index))
  const [y = '', ...lasts] = node.outputs
  const stack = (parts: readonly string[], axis: number): string =>
    parts.length === 1 ? (parts[0] ?? '') : emitter.emit('Concat', parts, { axis })
  if (y !== '') {
    emitter.define([y], 'Identity', [
      stack(
        runs.map(run =>
          stack(
            run.hidden.map(h => lift(emitter, h, [0, 1])),
            0,
          ),
        ),
        1,
      ),
    ])
  }
  for (const [state, output] of lasts.entries()) {
    if (output === '') continue
    const parts = runs.map(run => lift(emitter, run.last[state] ?? '', [0]))
    emitter.define([output], 'Identity', [stack(parts, 0)])
  }
}

const lift = (emitter: Emitter, value: string, axes: readonly number[]): string =>
  emitter.emit('Unsqueeze', [value, emitter.int64s(axes)])

const emitDirection = (
  recurrence: Recurrence,
  states: number,
  factory: CellFactory,
  way: 'forward' | 'reverse',
  index: number,
): { readonly hidden: readonly string[]; readonly last: readonly string[] } => {
  const { node, emitter, steps, hidden, dtype } = recurrence
  const [x = ''] = node.inputs
  const pick = (input: number): string | undefined => {
    const name = inputAt(node, input)
    if (name === undefined) return undefined
    const [axis, from, to] = [0, index, index + 1].map(value => emitter.int64s([value])) as [string, string, string]
    const slice = recurrence.directions.length === 1 ? name : emitter.call('Slice', name, from, to, axis)
    return emitter.call('Squeeze', slice, axis)
  }
  const zeros = (): string => {
    const batch = emitter.emit('Shape', [x], { start: 1, end: 2 })
    const shape = emitter.emit('Concat', [batch, emitter.int64s([hidden])], { axis: 0 })
    return emitter.call('Expand', emitter.scalar(dtype, 0), shape)
  }
  const b = pick(3)
  const w = pick(1) ?? ''
  const { bias, cell } = factory({
    w,
    r: pick(2) ?? '',
    biases: b === undefined ? undefined : halves(emitter, b),
  })
  const product = emitter.call('MatMul', x, emitter.emit('Transpose', [w], { perm: [1, 0] }))
  const all = bias === undefined ? product : emitter.call('Add', product, bias)
  const parts = Array.from({ length: steps }, () => emitter.fresh(`${node.op}.inputs`))
  emitter.define(parts, 'Split', [all], { axis: 0, num_outputs: steps })
  let now: readonly string[] = Array.from({ length: states }, (_, state) => pick(5 + state) ?? zeros())
  const hiddenStates = Array.from({ length: steps }, () => '')
  for (let step = 0; step < steps; step++) {
    const at = way === 'forward' ? step : steps - 1 - step
    now = cell(emitter.call('Squeeze', parts[at] ?? '', emitter.int64s([0])), now)
    hiddenStates[at] = now[0] ?? ''
  }
  return { hidden: hiddenStates, last: now }
}

const halves = (emitter: Emitter, bias: string): [string, string] => {
  const parts: [string, string] = [emitter.fresh('bias'), emitter.fresh('bias')]
  emitter.define(parts, 'Split', [bias], { axis: 0, num_outputs: 2 })
  return parts
}
