import type { Emitter } from '../emitter.ts'
import type { FloatDType } from '../losses/loss.ts'
import { OnnxModelError, shorten } from '../onnx-model-error.ts'
import type { Parameter } from '../parameters.ts'
import { emitClipFactor } from './clip-global-norm.ts'
import type { AffineTerm, CarriedState, Optimiser, OptimizerOptions, Trained } from './optimiser.ts'
import { emitProximal } from './proximal.ts'
import { scaffoldTerm } from './scaffold.ts'
import { weightDecayTerm } from './weight-decay.ts'

export type UpdateOptions = {
  readonly optimizer: OptimizerOptions
  /** C of the global norm of the batch's gradient. */
  readonly clippingNorm: number | undefined
  /** μ of FedProx. */
  readonly proximal: number | undefined
  /** Whether SCAFFOLD's correction comes in. */
  readonly correction: boolean
}

type Fixed = { readonly parameter: Parameter; readonly name: string }

export type EmittedUpdates = {
  readonly state: readonly CarriedState[]
  readonly anchors: readonly Fixed[]
  readonly corrections: readonly Fixed[]
  /** Values that steps are added to in place of the parameter itself. */
  readonly bases: readonly string[]
}

/**
 * Emits the new value of every parameter that has a gradient. Clipping is of the gradient of the loss over the batch;
 * the proximal term, the correction and weight decay are added to it after. Throws OPTIONS_INVALID.
 */
export const emitUpdates = (
  { emitter, dtype, learningRate }: { emitter: Emitter; dtype: FloatDType; learningRate: string },
  optimiser: Optimiser,
  parameters: readonly (Parameter & { readonly updated: string })[],
  gradients: ReadonlyMap<string, string>,
  options: UpdateOptions,
): EmittedUpdates => {
  const { clippingNorm, proximal = 0, correction } = options
  if (!(proximal >= 0 && proximal < 1e6)) invalid(`The proximal term is ${proximal}`, 'Use a number from 0.')
  if (clippingNorm !== undefined && !(clippingNorm > 0 && clippingNorm < Number.POSITIVE_INFINITY)) {
    invalid(`The clipping norm is ${clippingNorm}`, 'Use a positive number.')
  }
  const factor = optimiser.gradientFactor
  const anchors: Fixed[] = []
  const corrections: Fixed[] = []
  const trained = parameters.flatMap((parameter): Trained[] => {
    const gradient = gradients.get(parameter.name)
    if (gradient === undefined) return []
    const terms: AffineTerm[] = [weightDecayTerm(options.optimizer)]
    if (proximal > 0) {
      const name = emitter.fresh(`${parameter.name}.anchor`)
      anchors.push({ parameter, name })
      terms.push(emitProximal(emitter, name, proximal, dtype))
    }
    if (correction) {
      const name = emitter.fresh(`${parameter.name}.correction`)
      corrections.push({ parameter, name })
      terms.push(scaffoldTerm(name))
    }
    const affine = sumOf(emitter, terms)
    const isStep = typeof factor === 'string' && affine.decay === 0 && affine.drift === undefined
    if (parameter.dtype !== dtype && !isStep) refuseDtype(parameter, dtype)
    return [{ ...parameter, gradient, affine }]
  })
  const names = trained.map(({ gradient }) => gradient)
  const clip =
    clippingNorm === undefined || typeof factor === 'string' || names.length === 0
      ? undefined
      : emitClipFactor(emitter, names, { dtype, maximum: clippingNorm, factor })
  const before = emitter.nodes.length
  const context = { emitter, dtype, learningRate, ...(clip === undefined ? {} : { clip }) }
  const state = optimiser.emitUpdates(context, trained)
  const bases = emitter.nodes.slice(before).flatMap(({ outputs }) => outputs)
  return { state, anchors, corrections, bases: typeof factor === 'string' ? bases : [] }
}

const sumOf = (emitter: Emitter, terms: readonly AffineTerm[]): AffineTerm => {
  const decay = terms.reduce((sum, term) => sum + term.decay, 0)
  const drifts = terms.flatMap(({ drift }) => (drift === undefined ? [] : [drift]))
  const [first, ...rest] = drifts
  if (first === undefined) return { decay }
  return { decay, drift: rest.reduce((sum, drift) => emitter.emit('Add', [sum, drift]), first) }
}

/** Factors of an update are of the output's type; only plain SGD has none. */
const refuseDtype = ({ name, dtype }: Parameter, expected: FloatDType): never => {
  throw new OnnxModelError(
    'DTYPE_UNSUPPORTED',
    `Parameter "${shorten(name)}" is ${dtype}, the output ${expected}`,
    'Export the model in one type, freeze the parameter, or train it with plain SGD.',
  )
}

const invalid = (problem: string, remedy: string): never => {
  throw new OnnxModelError('OPTIONS_INVALID', problem, remedy)
}
