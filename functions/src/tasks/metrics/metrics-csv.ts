import type { RoundMetrics } from '@tributary/contracts/task-views'
import { type CsvCell, csv } from './csv.ts'
import { resultNames, sumNames } from './sum-names.ts'

const columns = [
  'round',
  'attempt',
  'attempts',
  'state',
  'openedAt',
  'settledAt',
  'seconds',
  'accuracy',
  'loss',
  'evaluatedExamples',
  'trainingLoss',
  'trainingExamples',
  'selected',
  'accepted',
  'refused',
  'empty',
  'weight',
  'uploadBytes',
  'deviceSeconds',
  'version',
] as const satisfies readonly (keyof RoundMetrics)[]

/** One line a round. Values that evaluations have beside accuracy and loss stand behind, where any round has them; additive metrics behind these, as exact decimal integers; families of them (confusion counts) do not. */
export const metricsCsv = (task: string, rounds: readonly RoundMetrics[]): string => {
  const training = sumNames(rounds.map(round => round.training))
  const evaluation = sumNames(rounds.map(round => round.evaluation))
  const results = resultNames(rounds)
  const header = [
    'task',
    ...columns,
    ...results,
    ...training.map(name => `training_${name}`),
    ...evaluation.map(name => `evaluation_${name}`),
  ]
  const rows = rounds.map((round): CsvCell[] => [
    task,
    ...columns.map(name => round[name]),
    ...results.map(name => round.results[name] ?? null),
    ...training.map(name => numeral(round.training[name])),
    ...evaluation.map(name => numeral(round.evaluation[name])),
  ])
  return csv(header, rows)
}

/** Sums are integers that may pass 2^53, so their digits are passed on; a negative one is no formula. */
const numeral = (value: string | undefined): CsvCell => {
  if (value === undefined) return null
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}
