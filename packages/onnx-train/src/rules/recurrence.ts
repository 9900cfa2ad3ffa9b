import { inputAt, stringAttribute } from '../graph.ts'
import { fixedSize } from './constant-operand.ts'
import type { GradientContext, GradientRule } from './gradient-rule.ts'
import { reshapeLike } from './reduce-to-shape.ts'
import { sumOfRows } from './sum-of-rows.ts'
import { unsupportedForm } from './window.ts'

/** Sequences longer than this make graphs too large to be of use. */
const maxSteps = 1000

/** One direction of a recurrent layer. Rows of stacked values [steps·B, …] are in order of time; T = steps. */
export type Direction = {
  readonly context: GradientContext
  /** Indices of time, in the order in which the layer goes. */
  readonly order: readonly number[]
  readonly hidden: number
  /** [T·B, I] */
  readonly x: string
  /** The hidden states that each step began with [T·B, H]. */
  readonly before: string
  /** [gates·H, I], [gates·H, H] */
  readonly w: string
  readonly r: string
  /** [gates·H] each: input and recurrent bias; undefined where the layer has none. */
  readonly biases: readonly [string, string] | undefined
  /** Hidden and cell state [B, H] at the beginning, where given, and the gradients of those at the end. */
  readonly initial: readonly (string | undefined)[]
  readonly finalGradients: readonly (string | undefined)[]
  /** Gradient of each step's hidden state [B, H] from outside the layer, by index of time. */
  readonly outputGradients: readonly (string | undefined)[]
}

/** What comes out of one direction. */
export type DirectionGradients = {
  /** Of the products with x [T·B, gates·H], of r [gates·H, H], of both biases [gates·H], of the initial states [B, H]. */
  readonly products: string
  readonly r: string
  readonly biases: readonly [string, string]
  readonly initial: readonly string[]
}

/**
 * Backpropagation through time. The forward pass stays the runtime's own operator; the gates of all steps are computed
 * again from the states it returned, in one product, and so are all slopes: what is left to do step by step is the
 * recursion of the states' gradients.
 */
export const recurrentGradient =
  (differentiateDirection: (direction: Direction) => DirectionGradients): GradientRule =>
  context => {
    const { node, emitter, wants } = context
    const [x = ''] = node.inputs
    const steps = stepsOf(context)
    const declared = stringAttribute(node, 'direction', 'forward')
    const ways = declared === 'bidirectional' ? ['forward', 'reverse'] : [declared]
    const rows = emitter.call('Reshape', x, emitter.int64s([-1, fixedSize(context, x, 2)]))
    const found = ways.map((way, index) => {
      const direction = readDirection(context, { way, index, count: ways.length, steps, x: rows })
      return { direction, gradients: differentiateDirection(direction) }
    })
    const stack = (parts: readonly string[]): string => {
      const lifted = parts.map(part => emitter.call('Unsqueeze', part, emitter.int64s([0])))
      return lifted.length === 1 ? (lifted[0] ?? '') : emitter.emit('Concat', lifted, { axis: 0 })
    }
    const ofX = (): string => {
      const parts = found.map(({ direction, gradients }) => emitter.call('Gemm', gradients.products, direction.w))
      return reshapeLike(context, parts.length === 1 ? (parts[0] ?? '') : emitter.emit('Sum', parts), x)
    }
    const ofW = ({ direction, gradients }: (typeof found)[number]): string =>
      emitter.emit('Gemm', [gradients.products, direction.x], { transA: 1 })
    const ofState = (state: number): string | undefined =>
      wants(5 + state) ? stack(found.map(({ gradients }) => gradients.initial[state] ?? '')) : undefined
    return [
      wants(0) ? ofX() : undefined,
      wants(1) ? stack(found.map(ofW)) : undefined,
      wants(2) ? stack(found.map(({ gradients }) => gradients.r)) : undefined,
      wants(3) ? stack(found.map(({ gradients }) => emitter.emit('Concat', gradients.biases, { axis: 0 }))) : undefined,
      undefined,
      ofState(0),
      ofState(1),
    ]
  }

const stepsOf = ({ node, typeOf }: GradientContext): number => {
  const steps = typeOf(node.inputs[0] ?? '').shape[0]
  if (typeof steps !== 'number') {
    return unsupportedForm(node, 'a sequence length that varies', 'Export with a fixed sequence length.')
  }
  return steps <= maxSteps ? steps : unsupportedForm(node, `${steps} steps`, `Cut sequences to at most ${maxSteps}.`)
}

type Way = {
  readonly way: string
  readonly index: number
  readonly count: number
  readonly steps: number
  readonly x: string
}

const readDirection = (context: GradientContext, { way, index, count, steps, x }: Way): Direction => {
  const { node, emitter, outputGradients } = context
  const [y = ''] = node.outputs
  const hidden = fixedSize(context, node.inputs[2] ?? '', 2)
  /** The direction's part of a value with the directions along an axis. */
  const pick = (value: string | undefined, axis: number): string | undefined => {
    if (value === undefined) return undefined
    if (count === 1) return emitter.call('Squeeze', value, emitter.int64s([axis]))
    const at = emitter.constant({ dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(index)) })
    return emitter.emit('Gather', [value, at], { axis })
  }
  const pickInput = (input: number): string | undefined => pick(inputAt(node, input), 0)
  const times = Array.from({ length: steps }, (_, time) => time)
  const order = way === 'reverse' ? times.toReversed() : times
  const initial = [pickInput(5), pickInput(6)]
  const bias = pickInput(3)
  const gradient = pick(outputGradients[0], 1)
  const direction = {
    context,
    order,
    hidden,
    x,
    w: pickInput(1) ?? '',
    r: pickInput(2) ?? '',
    biases: bias === undefined ? undefined : halves(context, bias),
    initial,
    finalGradients: [pick(outputGradients[1], 0), pick(outputGradients[2], 0)],
    outputGradients:
      gradient === undefined
        ? times.map(() => undefined)
        : perStep({ context, order }, emitter.call('Reshape', gradient, emitter.int64s([-1, hidden]))),
  }
  return { ...direction, before: statesBefore(direction, pick(y, 1) ?? '', initial[0]) }
}

const halves = ({ emitter }: GradientContext, bias: string): [string, string] => {
  const parts: [string, string] = [emitter.fresh('bias'), emitter.fresh('bias')]
  emitter.define(parts, 'Split', [bias], { axis: 0, num_outputs: 2 })
  return parts
}

/** What each step began with [T·B, H], from the states after the steps [T, B, H] and the initial ones, zeros if absent. */
export const statesBefore = (
  { context: { emitter }, order, hidden }: Pick<Direction, 'context' | 'order' | 'hidden'>,
  states: string,
  initial: string | undefined,
): string => {
  const steps = order.length
  const isReverse = steps > 1 && order[0] !== 0
  const flat = (value: string): string => emitter.call('Reshape', value, emitter.int64s([-1, hidden]))
  if (initial === undefined) {
    const [front, back] = isReverse ? [-1, 1] : [1, -1]
    return flat(emitter.call('Pad', states, emitter.int64s([front, 0, 0, back, 0, 0])))
  }
  if (steps === 1) return initial
  const [from, to] = isReverse ? [1, steps] : [0, steps - 1]
  const kept = flat(emitter.call('Slice', states, emitter.int64s([from]), emitter.int64s([to]), emitter.int64s([0])))
  return emitter.emit('Concat', isReverse ? [kept, initial] : [initial, kept], { axis: 0 })
}

/** The rows [B, …] of each step of a stacked value [T·B, …], by index of time. */
export const perStep = ({ context, order }: Pick<Direction, 'context' | 'order'>, stacked: string): string[] => {
  if (order.length === 1) return [stacked]
  const parts = order.map(() => context.emitter.fresh('step'))
  context.emitter.define(parts, 'Split', [stacked], { axis: 0, num_outputs: order.length })
  return parts
}

/** Values [B, …] of all steps, by index of time, as one [T·B, …]. */
export const stackSteps = ({ context }: Pick<Direction, 'context'>, parts: readonly string[]): string =>
  parts.length === 1 ? (parts[0] ?? '') : context.emitter.emit('Concat', parts, { axis: 0 })

/** Parts of the columns, of so many hidden units each. */
export const splitGates = (
  { context: { emitter }, hidden }: Pick<Direction, 'context' | 'hidden'>,
  value: string,
  units: readonly number[],
  axis = 1,
): string[] => {
  const parts = units.map(() => emitter.fresh('gates'))
  emitter.define(parts, 'Split', [value, emitter.int64s(units.map(count => count * hidden))], { axis })
  return parts
}

/** Gradient of a bias [C] from that of what it was added to [T·B, C]. */
export const biasGradient = ({ context, order }: Direction, gradient: string): string => {
  const batch = context.typeOf(context.node.inputs[0] ?? '').shape[1]
  const examples = typeof batch === 'object' ? batch.perExample * order.length : undefined
  return sumOfRows(context, gradient, examples === undefined ? 'unknown' : { perExample: examples })
}
