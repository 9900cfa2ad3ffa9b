import { fitsPattern } from '@tributary/tensors/name-pattern'
import { isWithinHours } from './hours.ts'
import type { Names, Policy } from './policy.ts'

/** What is asked of the device, as far as the node says; empty where it does not. */
export type Work = {
  readonly kind: 'training' | 'evaluation' | 'personalisation'
  /** Undefined for what no task asks for. */
  readonly task: { readonly id: string; readonly name: string } | undefined
  readonly model: { readonly id: string; readonly name: string }
  readonly dataset: string
  readonly framework: string
  /** `built-in` for the agent's own. */
  readonly trainer: string
  /** Undefined for evaluation, which nobody is asked for by group. */
  readonly groups: readonly string[] | undefined
  /** What would go up, about. */
  readonly updateBytes: number
}

/** How things are on the device now. */
export type Situation = {
  readonly now: Date
  /** Undefined where nobody knows. */
  readonly onBattery: boolean | undefined
  readonly metered: boolean
  /** Share of the processors that others keep busy; undefined where the system does not count it. */
  readonly load: number | undefined
  readonly bytesToday: { readonly down: number; readonly up: number }
}

/** The rule by which work is refused: its path in `policy.json`. */
export type Refusal = { readonly rule: string }

/** Whether the owner lets the device do this now; undefined: yes. The first rule that does not is named. */
export const decide = (policy: Policy, work: Work, situation: Situation): Refusal | undefined => {
  for (const [rule, isRefused] of rulesOf(policy, work, situation)) if (isRefused()) return { rule }
  return undefined
}

const rulesOf = (
  policy: Policy,
  { kind, task, model, dataset, framework, trainer, groups, updateBytes }: Work,
  { now, onBattery, metered, load, bytesToday }: Situation,
): readonly (readonly [string, () => boolean])[] => [
  ...(task === undefined ? [] : named('tasks', policy.tasks, [task.id, task.name])),
  ...named('models', policy.models, [model.id, model.name]),
  ...named('datasets', policy.datasets, [dataset]),
  ...named('frameworks', policy.frameworks, [framework]),
  ...named('trainers', policy.trainers, [trainer]),
  ...(groups === undefined ? [] : named('groups', policy.groups, groups)),
  ['share.statistics', () => framework === 'statistics' && !policy.share.statistics],
  ['personalise', () => kind === 'personalisation' && !policy.personalise],
  ['share.metrics', () => kind === 'evaluation' && !policy.share.metrics],
  ['hours', () => policy.hours !== undefined && !isWithinHours(policy.hours, now)],
  // What cannot be known is taken for what the owner wants to avoid.
  ['onBattery', () => !policy.onBattery && onBattery !== false],
  ['onMeteredNetwork', () => !policy.onMeteredNetwork && metered],
  ['mostLoad', () => policy.mostLoad !== undefined && (load === undefined || load > policy.mostLoad)],
  ['bytesADay.down', () => bytesToday.down >= (policy.bytesADay.down ?? Number.POSITIVE_INFINITY)],
  ['bytesADay.up', () => bytesToday.up + updateBytes > (policy.bytesADay.up ?? Number.POSITIVE_INFINITY)],
]

/** Rules of a list of names: what it denies, and what it does not allow. */
export const named = (list: string, { allow, deny }: Names, names: readonly string[]): [string, () => boolean][] => [
  [`${list}.deny`, () => names.some(name => fitsAny(deny, name))],
  [`${list}.allow`, () => allow !== undefined && !names.some(name => fitsAny(allow, name))],
]

const fitsAny = (patterns: readonly string[], name: string): boolean =>
  name !== '' && patterns.some(pattern => fitsPattern(pattern, name))
