import type { TrainerSettings, trainingOptions } from './round.ts'

type Option = keyof typeof trainingOptions

const byOptimizer = new Map<Option, readonly TrainerSettings['optimizer'][]>([
  ['momentum', ['momentum', 'nesterov']],
  ['beta1', ['adam', 'adamw']],
  ['beta2', ['adam', 'adamw']],
  ['epsilon', ['adam', 'adamw']],
])

const byLoss = new Map<Option, readonly TrainerSettings['loss'][]>([
  ['labelSmoothing', ['softmax-cross-entropy']],
  ['ignoreIndex', ['softmax-cross-entropy', 'negative-log-likelihood']],
  ['huberDelta', ['huber']],
])

/** Options that were set and that neither the optimiser nor the loss reads, with what to say about each. */
export const unusedOptions = (
  settings: Pick<TrainerSettings, Option | 'optimizer' | 'loss'>,
): readonly (readonly [Option, string])[] => {
  const unused = (table: ReadonlyMap<Option, readonly string[]>, chosen: string) =>
    [...table].flatMap(([option, users]): [Option, string][] =>
      settings[option] === undefined || users.includes(chosen)
        ? []
        : [[option, `is of ${users.join(' and ')}; ${chosen} does not read it`]],
    )
  return [...unused(byOptimizer, settings.optimizer), ...unused(byLoss, settings.loss)]
}
