import type { Tensor } from '@tributary/onnx-train/tensor'
import type { EvaluationResult } from '../trainer.ts'
import { ignoredLabel } from './data-checks.ts'
import type { WorkerData } from './fitted-data.ts'
import { splitWeights } from './flat-weights.ts'
import type { EvaluationProgram } from './graph-cache.ts'
import type { EvaluateMessage } from './protocol.ts'
import { release } from './runtime.ts'

/** Fixed, so that the same data is always cut the same way; small, since memory for activations grows with it. */
const batchSize = 20

/** The unit of a loss: sums of its multiples are exact in a double up to 2^33. */
const lossUnit = 2 ** -20

/** What a loss counts for at most, and what one that is not a number counts for. */
const worstLoss = 2 ** 10

/** Counts hits and adds up losses over the whole data set. Throws TrainingError, the signal's reason. */
export const runEvaluation = async (
  message: EvaluateMessage,
  { compiled, session }: EvaluationProgram,
  data: WorkerData,
  signal: AbortSignal,
): Promise<EvaluationResult> => {
  const fitted = data.fit({ ...compiled, ignoreIndex: ignoredLabel(message.loss) })
  const { examples } = fitted
  const started = performance.now()
  const weights = splitWeights(message.weights, compiled.parameters)
  const parameters = compiled.parameters.map(({ name }, index): [string, Tensor] => [name, weights[index] as Tensor])
  const fetches = [compiled.losses, ...[compiled.hits, compiled.counted, compiled.absoluteErrors].filter(isNamed)]
  let correct = 0
  let lossSum = 0
  let absoluteErrorSum = 0
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
    lossSum += exactSum(found(compiled.losses))
    absoluteErrorSum += exactSum(found(compiled.absoluteErrors))
  }
  release([{ dtype: 'float32', shape: [], data: message.weights }])
  return {
    examples,
    correct: compiled.hits === '' ? null : Math.round(correct),
    lossSum,
    absoluteErrorSum: compiled.absoluteErrors === '' ? null : absoluteErrorSum,
    seconds: (performance.now() - started) / 1000,
  }
}

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
