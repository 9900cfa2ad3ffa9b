import { intAttribute } from '../graph.ts'
import type { GradientContext } from './gradient-rule.ts'
import {
  biasGradient,
  type Direction,
  type DirectionGradients,
  perStep,
  recurrentGradient,
  splitGates,
  stackSteps,
} from './recurrence.ts'

/** Gates of all steps [T·B, H] each, and slopes of the sigmoids. */
type Gates = { readonly z: string; readonly r: string; readonly slopeOfZ: string; readonly slopeOfR: string }

const emitGates = (direction: Direction, open: string): Gates => {
  const { emitter } = direction.context
  const sigmoids = emitter.call('Sigmoid', open)
  const slopes = emitter.call('Sub', sigmoids, emitter.call('Mul', sigmoids, sigmoids))
  const [z = '', r = ''] = splitGates(direction, sigmoids, [1, 1])
  const [slopeOfZ = '', slopeOfR = ''] = splitGates(direction, slopes, [1, 1])
  return { z, r, slopeOfZ, slopeOfR }
}

/** Slopes of h = (1 − z)·n + z·h₋₁ by the arguments of n = tanh(…) and z = σ(…). */
const emitBlendSlopes = ({ context, before }: Direction, { z, slopeOfZ }: Gates, n: string) => {
  const { emitter } = context
  const one = emitter.scalar('float32', 1)
  const slopeOfN = emitter.call('Sub', one, emitter.call('Mul', n, n))
  return {
    byN: emitter.call('Mul', emitter.call('Sub', one, z), slopeOfN),
    byZ: emitter.call('Mul', emitter.call('Sub', before, n), slopeOfZ),
  }
}

/** Emits one step backwards: from the gradient of the state after it, the one before it as a product and what is added. */
type StepBack = (dH: string, time: number) => { readonly factors: readonly [string, string]; readonly added: string }

/** The gradients of the states, from the last to the first; returns that of the initial state. */
const goBack = ({ context, order, finalGradients, outputGradients }: Direction, stepBack: StepBack): string => {
  const { emitter } = context
  const add = (a: string | undefined, b: string): string => (a === undefined ? b : emitter.call('Add', a, b))
  let dH = finalGradients[0]
  let dInitial = ''
  for (const [position, time] of order.toReversed().entries()) {
    const fromOutside = outputGradients[time]
    if (position === 0 && fromOutside !== undefined) dH = add(dH, fromOutside)
    const { factors, added } = stepBack(dH ?? '', time)
    const next = order[order.length - 2 - position]
    const nextOutside = next === undefined ? undefined : outputGradients[next]
    dH = emitter.call('Gemm', ...factors, add(nextOutside, added))
    dInitial = dH
  }
  return dInitial
}

/**
 * GRU (Cho et al. 2014) whose reset gate is applied after the hidden state's product, as cuDNN, PyTorch and Keras have it:
 * n = tanh(a + r·b) with a of the input and b of the state. All gradients are ∂h times slopes known at once.
 */
const differentiateResetAfter = (direction: Direction): DirectionGradients => {
  const { context, x, before, w, r, biases } = direction
  const { emitter } = context
  const call = (op: string, ...inputs: readonly string[]): string => emitter.call(op, ...inputs)
  const gemm = (...inputs: readonly string[]): string => emitter.emit('Gemm', inputs, { transB: 1 })
  const row = (...parts: readonly string[]): string => emitter.emit('Concat', parts, { axis: 1 })

  const [inputOpen = '', a = ''] = splitGates(direction, gemm(x, w, ...(biases?.slice(0, 1) ?? [])), [2, 1])
  const [stateOpen = '', b = ''] = splitGates(direction, gemm(before, r, ...(biases?.slice(1) ?? [])), [2, 1])
  const gates = emitGates(direction, call('Add', inputOpen, stateOpen))
  const n = call('Tanh', call('Add', a, call('Mul', gates.r, b)))
  const { byN, byZ } = emitBlendSlopes(direction, gates, n)
  const byR = call('Mul', call('Mul', byN, b), gates.slopeOfR)
  const stateSlopes = perStep(direction, row(byZ, byR, call('Mul', byN, gates.r)))
  const update = perStep(direction, gates.z)

  const states: string[] = []
  const tripled: string[] = []
  const dInitial = goBack(direction, (dH, time) => {
    const thrice = row(dH, dH, dH)
    const dState = call('Mul', thrice, stateSlopes[time] ?? '')
    tripled[time] = thrice
    states[time] = dState
    return { factors: [dState, r], added: call('Mul', dH, update[time] ?? '') }
  })
  const products = call('Mul', stackSteps(direction, tripled), row(byZ, byR, byN))
  const dStates = stackSteps(direction, states)
  return {
    products,
    r: emitter.emit('Gemm', [dStates, before], { transA: 1 }),
    biases: [biasGradient(direction, products), biasGradient(direction, dStates)],
    initial: [dInitial],
  }
}

/** The reset gate is applied to the state: n = tanh(a + (r·h₋₁)·R). */
const differentiateResetBefore = (direction: Direction): DirectionGradients => {
  const { context, x, before, w, biases } = direction
  const { emitter } = context
  const call = (op: string, ...inputs: readonly string[]): string => emitter.call(op, ...inputs)
  const gemm = (...inputs: readonly string[]): string => emitter.emit('Gemm', inputs, { transB: 1 })
  const row = (...parts: readonly string[]): string => emitter.emit('Concat', parts, { axis: 1 })

  const [gatesMatrix = '', candidateMatrix = ''] = splitGates(direction, direction.r, [2, 1], 0)
  const inputs = biases === undefined ? gemm(x, w) : gemm(x, w, call('Add', ...biases))
  const [inputOpen = '', a = ''] = splitGates(direction, inputs, [2, 1])
  const gates = emitGates(direction, gemm(before, gatesMatrix, inputOpen))
  const kept = call('Mul', gates.r, before)
  const n = call('Tanh', gemm(kept, candidateMatrix, a))
  const slopes = emitBlendSlopes(direction, gates, n)
  const [byN, byZ] = [perStep(direction, slopes.byN), perStep(direction, slopes.byZ)]
  const byKept = perStep(direction, call('Mul', before, gates.slopeOfR))
  const [update, reset] = [perStep(direction, gates.z), perStep(direction, gates.r)]

  const opens: string[] = []
  const candidates: string[] = []
  const dInitial = goBack(direction, (dH, time) => {
    const dCandidate = call('Mul', dH, byN[time] ?? '')
    const dKept = call('Gemm', dCandidate, candidateMatrix)
    const dOpen = row(call('Mul', dH, byZ[time] ?? ''), call('Mul', dKept, byKept[time] ?? ''))
    opens[time] = dOpen
    candidates[time] = dCandidate
    const direct = call('Mul', dH, update[time] ?? '')
    return { factors: [dOpen, gatesMatrix], added: call('Add', direct, call('Mul', dKept, reset[time] ?? '')) }
  })
  const dOpens = stackSteps(direction, opens)
  const dCandidates = stackSteps(direction, candidates)
  const products = row(dOpens, dCandidates)
  const bias = biasGradient(direction, products)
  const ofMatrix = (gradient: string, states: string): string => emitter.emit('Gemm', [gradient, states], { transA: 1 })
  return {
    products,
    r: emitter.emit('Concat', [ofMatrix(dOpens, before), ofMatrix(dCandidates, kept)], { axis: 0 }),
    biases: [bias, bias],
    initial: [dInitial],
  }
}

const isResetAfter = ({ node }: GradientContext): boolean => intAttribute(node, 'linear_before_reset', 0) === 1

export const gruGradient = recurrentGradient(direction =>
  isResetAfter(direction.context) ? differentiateResetAfter(direction) : differentiateResetBefore(direction),
)
