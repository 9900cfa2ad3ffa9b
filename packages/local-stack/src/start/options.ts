import { parseArgs } from 'node:util'
import * as z from 'zod'
import { maxRegions } from '../settings/ports.ts'

/** A wrong option: the message says what is right. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const whole = (name: string, min: number, max: number) => {
  const message = `--${name} takes a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^\d{1,10}$/, message)
    .transform(Number)
    .refine(value => value >= min && value <= max, message)
}

const real = (name: string, least: number, most: number) => {
  const message = `--${name} takes a number above ${least}, at most ${most}`
  return z
    .string()
    .regex(/^\d+(?:\.\d+)?(?:e-?\d+)?$/i, message)
    .transform(Number)
    .refine(value => value > least && value <= most, message)
}

const splitMessage = '--split takes iid, shards or dirichlet:ALPHA (ALPHA a positive number, e.g. dirichlet:0.5)'

/** How examples are spread over devices. */
export type Split =
  | { readonly kind: 'iid' }
  | { readonly kind: 'shards' }
  | { readonly kind: 'dirichlet'; readonly alpha: number }

const split = z.string().transform((text, context): Split => {
  if (text === 'iid' || text === 'shards') return { kind: text }
  const alpha = Number(/^dirichlet:(\d+(?:\.\d+)?)$/.exec(text)?.[1])
  if (alpha > 0) return { kind: 'dirichlet', alpha }
  context.addIssue({ code: 'custom', message: splitMessage })
  return z.NEVER
})

const StartOptions = z.object({
  exit: z.boolean().default(false),
  json: z.boolean().default(false),
  fresh: z.boolean().default(false),
  help: z.boolean().default(false),
  devices: whole('devices', 1, 1000).prefault('10'),
  regions: whole('regions', 1, maxRegions).prefault('2'),
  rounds: whole('rounds', 1, 10_000).prefault('5'),
  model: z.enum(['2nn', 'cnn'], '--model takes 2nn or cnn').default('2nn'),
  split: split.prefault('iid'),
  seed: whole('seed', 0, 2 ** 32 - 1).prefault('1'),
  'local-epochs': whole('local-epochs', 1, 1000).prefault('1'),
  'batch-size': whole('batch-size', 1, 10_000).prefault('10'),
  'learning-rate': real('learning-rate', 0, 100).prefault('0.1'),
  fraction: real('fraction', 0, 1).prefault('1'),
  'port-base': whole('port-base', 1024, 65_400).optional(),
})

/** Options of `npm start --`, checked. */
export type StartOptions = {
  readonly exit: boolean
  readonly json: boolean
  readonly fresh: boolean
  readonly help: boolean
  readonly devices: number
  readonly regions: number
  readonly rounds: number
  readonly model: '2nn' | 'cnn'
  readonly split: Split
  readonly seed: number
  readonly localEpochs: number
  readonly batchSize: number
  readonly learningRate: number
  readonly fraction: number
  readonly portBase: number | undefined
}

export const usage = `npm start -- [options]

  --exit               end after the demo; exit code 0 only if the task completed
  --json               the last line of standard output is one JSON object
  --fresh              forget the state of earlier starts
  --devices N          devices of the federation (10)
  --regions N          regions, a regional node each (2)
  --rounds N           rounds of the demo task (5)
  --model 2nn|cnn      the model that is trained (2nn)
  --split iid|shards|dirichlet:ALPHA
                       how the examples are spread over the devices (iid)
  --seed N             same seed, same bytes (1)
  --local-epochs N     passes of a device over its data in a round (1)
  --batch-size N       examples in a step (10)
  --learning-rate X    step size (0.1)
  --fraction X         share of the devices that a round needs (1)
  --port-base N        moves every port: a fixed offset per service from N
  --help               this text
`

const booleans = ['exit', 'json', 'fresh', 'help'] as const
const optionTypes = Object.fromEntries(
  Object.keys(StartOptions.shape).map(name => [
    name,
    { type: (booleans as readonly string[]).includes(name) ? ('boolean' as const) : ('string' as const) },
  ]),
)

/** @throws UsageError with one line that says what is right. */
export const parseStartOptions = (args: readonly string[]): StartOptions => {
  let values: Record<string, unknown>
  try {
    values = parseArgs({ args: [...args], options: optionTypes, strict: true, allowPositionals: false }).values
  } catch (error) {
    // The first sentence names the option and what is wrong with it.
    throw new UsageError(`${(error as Error).message.split(/[.\n]/)[0]}; npm start -- --help lists the options`)
  }
  const parsed = StartOptions.safeParse(values)
  if (!parsed.success) throw new UsageError(parsed.error.issues.map(issue => issue.message).join('; '))
  const options = parsed.data
  if (options.regions > options.devices)
    throw new UsageError('--regions may not exceed --devices: each region needs a device')
  return {
    ...options,
    localEpochs: options['local-epochs'],
    batchSize: options['batch-size'],
    learningRate: options['learning-rate'],
    portBase: options['port-base'],
  }
}
