import { type ParseArgsConfig, parseArgs } from 'node:util'
import type { InputChoice } from '@tributary/onnx-train/fix-inputs'
import type { LossKind, LossOptions } from '@tributary/onnx-train/losses/loss'
import type { OptimizerKind, OptimizerOptions } from '@tributary/onnx-train/optimisers/optimiser'
import type { TrainableChoice } from '@tributary/onnx-train/trainable'
import { UsageError } from './usage-error.ts'

const losses: readonly LossKind[] = [
  'softmax-cross-entropy',
  'negative-log-likelihood',
  'sigmoid-binary-cross-entropy',
  'mean-squared-error',
  'mean-absolute-error',
  'huber',
]
const optimizers: readonly OptimizerKind[] = ['sgd', 'momentum', 'nesterov', 'adam', 'adamw']

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const
const list = { type: 'string', multiple: true } as const

const known = {
  loss: text,
  'label-smoothing': text,
  'ignore-index': text,
  'class-axis': text,
  'huber-delta': text,
  output: text,
  input: list,
  freeze: list,
  only: list,
  optimizer: text,
  momentum: text,
  beta1: text,
  beta2: text,
  epsilon: text,
  'weight-decay': text,
  clip: text,
  proximal: text,
  out: text,
  form: text,
  'sample-weights': flag,
  correction: flag,
  data: text,
  dataset: text,
  features: text,
  labels: text,
  label: text,
  classes: text,
  separator: text,
  scale: text,
  'hold-out': text,
  epochs: text,
  'batch-size': text,
  'learning-rate': text,
  seed: text,
  help: { type: 'boolean', short: 'h' },
} as const satisfies ParseArgsConfig['options']

type Option = keyof typeof known

/** Options that say how a file of data is to be read. */
export const dataOptions = ['features', 'labels', 'label', 'classes', 'separator', 'scale', 'hold-out'] as const

/** The command line, taken apart. Every getter throws UsageError for a value that makes no sense. */
export class Arguments {
  readonly positionals: readonly string[]
  readonly #values: Readonly<Partial<Record<Option, string | boolean | readonly string[]>>>

  /** Throws UsageError for options that there are none of. */
  constructor(line: readonly string[]) {
    try {
      const { values, positionals } = parseArgs({
        args: joinNegatives(line),
        options: known,
        allowPositionals: true,
        strict: true,
      })
      this.#values = values
      this.positionals = positionals
    } catch (cause) {
      throw new UsageError(firstSentence(cause), { cause })
    }
  }

  text(option: Option): string | undefined {
    const value = this.#values[option]
    return typeof value === 'string' ? value : undefined
  }

  flag(option: Option): boolean {
    return this.#values[option] === true
  }

  list(option: Option): readonly string[] | undefined {
    const value = this.#values[option]
    return Array.isArray(value) ? value : undefined
  }

  number(option: Option): number | undefined {
    const value = this.text(option)
    if (value === undefined) return undefined
    const number = Number(value)
    if (value.trim() === '' || !Number.isFinite(number)) {
      throw new UsageError(`--${option} takes a number, not "${value.slice(0, 40)}"`)
    }
    return number
  }

  integer(option: Option, fallback: number, least: number, most: number): number {
    const number = this.number(option) ?? fallback
    if (Number.isInteger(number) && number >= least && number <= most) return number
    throw new UsageError(`--${option} takes an integer from ${least} to ${most}, not ${number}`)
  }

  oneOf<Choice extends string>(option: Option, choices: readonly Choice[], fallback: Choice): Choice {
    const value = this.text(option) ?? fallback
    const found = choices.find(choice => choice === value)
    if (found !== undefined) return found
    throw new UsageError(`--${option} is one of ${choices.join(', ')}, not "${value.slice(0, 40)}"`)
  }

  /** Throws UsageError for options that the command does not read. */
  refuse(command: string, ...options: readonly Option[]): void {
    const [unread] = options.filter(option => this.#values[option] !== undefined)
    if (unread !== undefined) throw new UsageError(`${command} does not take --${unread}`)
  }
}

/** The loss that the options describe. */
export const lossFrom = (given: Arguments): LossOptions => {
  const kind = given.oneOf('loss', losses, 'softmax-cross-entropy')
  const { labelSmoothing, ...classes } = defined({
    labelSmoothing: given.number('label-smoothing'),
    ignoreIndex: given.number('ignore-index'),
    classAxis: given.number('class-axis'),
  })
  const delta = defined({ delta: given.number('huber-delta') })
  if (kind === 'softmax-cross-entropy')
    return { kind, ...classes, ...defined({ labelSmoothing }), ...none(given, delta) }
  given.refuse(`--loss ${kind}`, 'label-smoothing')
  if (kind === 'negative-log-likelihood') return { kind, ...classes, ...none(given, delta) }
  given.refuse(`--loss ${kind}`, 'ignore-index', 'class-axis')
  return kind === 'huber' ? { kind, ...delta } : { kind, ...none(given, delta) }
}

/** Huber's δ belongs to no other loss. */
const none = (given: Arguments, delta: { readonly delta?: number }): Record<never, never> => {
  if (delta.delta !== undefined) given.refuse(`--loss ${given.text('loss') ?? 'softmax-cross-entropy'}`, 'huber-delta')
  return {}
}

/** The optimiser that the options describe. */
export const optimizerFrom = (given: Arguments): OptimizerOptions => {
  const kind = given.oneOf('optimizer', optimizers, 'sgd')
  const decay = defined({ weightDecay: given.number('weight-decay') })
  if (kind === 'adam' || kind === 'adamw') {
    given.refuse(`--optimizer ${kind}`, 'momentum')
    const [beta1, beta2, epsilon] = [given.number('beta1'), given.number('beta2'), given.number('epsilon')]
    return { kind, ...decay, ...defined({ beta1, beta2, epsilon }) }
  }
  given.refuse(`--optimizer ${kind}`, 'beta1', 'beta2', 'epsilon')
  if (kind !== 'sgd') return { kind, ...decay, ...defined({ momentum: given.number('momentum') }) }
  given.refuse(`--optimizer ${kind}`, 'momentum')
  return { kind, ...decay }
}

/** What --input says: the name of the data, and name=number for every input that is filled. */
export const inputsFrom = (given: Arguments): InputChoice => {
  const constants = new Map<string, number>()
  let data: string | undefined
  for (const text of given.list('input') ?? []) {
    const at = text.lastIndexOf('=')
    const value = at === -1 ? '' : text.slice(at + 1).trim()
    if (at === -1 || value === '' || !Number.isFinite(Number(value))) {
      if (at !== -1)
        throw new UsageError(`--input name=number fills an input, and "${value.slice(0, 40)}" is no number`)
      if (data !== undefined)
        throw new UsageError('--input names one input for the data; fill the others: --input name=1')
      data = text
    } else constants.set(text.slice(0, at), Number(value))
  }
  return { data, constants }
}

/** What --freeze and --only choose. */
export const trainableFrom = (given: Arguments): TrainableChoice =>
  defined({ only: given.list('only'), except: given.list('freeze') })

type Defined<Values> = { [Key in keyof Values]?: Exclude<Values[Key], undefined> }

/** The entries that have a value. */
const defined = <Values extends Record<string, unknown>>(values: Values): Defined<Values> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<Values>

/** `--ignore-index -100` as `--ignore-index=-100`, which is the only form in which parseArgs takes a negative number. */
const joinNegatives = (line: readonly string[]): string[] => {
  const joined: string[] = []
  for (const argument of line) {
    const last = joined.at(-1) ?? ''
    if (/^-\d/.test(argument) && /^--[a-z0-9-]+$/.test(last)) joined[joined.length - 1] = `${last}=${argument}`
    else joined.push(argument)
  }
  return joined
}

/** parseArgs explains at length; its first sentence says what is wrong. */
const firstSentence = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split(/\.( |$)/)[0] ?? ''
