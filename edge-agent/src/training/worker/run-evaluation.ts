import type { Tensor } from '@tributary/onnx-train/tensor'
import type { EvaluationResult } from '../trainer.ts'
import { ignoredLabel } from './data-checks.ts'
import type { WorkerData } from './fitted-data.ts'
import { splitWeights } from './flat-weights.ts'
import type { EvaluationProgram } from './graph-cache.ts'
import { collectorFor } from './metrics/collector-for.ts'
import type { EvaluateMessage } from './protocol.ts'
import { release } from './runtime.ts'

/** Fixed, so that the same data is always cut the same way; small, since memory for activations grows with it. */
const batchSize = 20

/** The unit of a loss: sums of its multiples are exact in a double up to 2^33. */
const lossUnit = 2 ** -20

/** What a loss counts for at most, and what one that is not a number counts for. */
const worstLoss = 2 ** 10

/** Counts hits and adds up losses, and what the metrics asked for are made of, over the whole data set. Throws TrainingError, the signal's reason. */
export const runEvaluation = async (
  message: EvaluateMessage,
  { compiled, session }: EvaluationProgram,
  data: WorkerData,
  signal: AbortSignal,
): Promise<EvaluationResult> => {
  const ignored = ignoredLabel(message.loss)
  const fitted = data.fit({ ...compiled, ignoreIndex: ignored })
  const { examples } = fitted
  const started = performance.now()
  const weights = splitWeights(message.weights, compiled.parameters)
  const parameters = compiled.parameters.map(({ name }, index): [string, Tensor] => [name, weights[index] as Tensor])
  const collector = collectorFor(compiled, message.metrics, { ignored, worstLoss })
  const fetches = [
    compiled.losses,
    ...[compiled.hits, compiled.counted].filter(isNamed),
    ...(collector.needsScores ? [compiled.scores] : []),
  ]
  let correct = 0
  let lossSum = 0
  for (let row = 0; row < examples; row += batchSize) {
    signal.throwIfAborted()
    const end = Math.min(row + batchSize, examples)
    const { features, labels } = await fitted.slice(row, end)
    const results = await session.run(
      new Map<string, Tensor>([...parameters, [compiled.features, features], [compiled.labels, labels]]),
      fetches,
      end === examples,
    )
    const found = (name: string): ArrayLike<number> => (results.get(name)?.data ?? []) as Float32Array
    const [hits, counted] = [found(compiled.hits), found(compiled.counted)]
    for (let index = 0; index < hits.length; index++) correct += (hits[index] ?? 0) / Math.max(counted[index] ?? 1, 1)
    const losses = found(compiled.losses)
    lossSum += exactSum(losses)
    const scores = results.get(compiled.scores)?.data ?? nothing
    collector.add({ scores, labels: labels.data, losses, counted })
    // Scores of many classes are large.
    release(results.values())
  }
  release([{ dtype: 'float32', shape: [], data: message.weights }])
  return {
    examples,
    correct: compiled.hits === '' ? null : Math.round(correct),
    lossSum,
    sums: Object.fromEntries(collector.sums().map(([name, sum]) => [name, `${sum}`])),
    seconds: (performance.now() - started) / 1000,
  }
}

const nothing = new Float32Array()

const isNamed = (name: string): boolean => name !== ''

/** Sum of multiples of the unit: exact, and the same however the data was cut. */
const exactSum = (values: ArrayLike<number>): number => {
  let sum = 0
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? 0
    sum += value <= worstLoss ? Math.round(value / lossUnit) * lossUnit : worstLoss
  }
  return sum
}
