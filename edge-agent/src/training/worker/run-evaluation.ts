import { elementCount, type Tensor } from '@tributary/onnx-train/tensor'
import type { EvaluationResult } from '../trainer.ts'
import { throwIfCancelled } from './cancelled-error.ts'
import { splitWeights } from './flat-weights.ts'
import type { EvaluationProgram } from './graph-cache.ts'
import type { EvaluateMessage } from './protocol.ts'
import { expectData, type WorkerData } from './worker-data.ts'

/** Fixed, so that the same data is always cut the same way; small, so that activations of a CNN stay small. */
const batchSize = 100

/** The unit of a loss: sums of its multiples are exact in a double up to 2^33. */
const lossUnit = 2 ** -20

/** What a loss counts for at most, and what one that is not a number counts for. */
const worstLoss = 2 ** 10

/** Counts hits and adds up losses over the whole data set. Throws TrainingError, CancelledError. */
export const runEvaluation = async (
  message: EvaluateMessage,
  { compiled, session }: EvaluationProgram,
  data: WorkerData,
): Promise<EvaluationResult> => {
  expectData(data, compiled.exampleShape, compiled.classes)
  const started = performance.now()
  const width = elementCount(compiled.exampleShape)
  const examples = data.labels.length
  const weights = splitWeights(message.weights, compiled.parameters)
  const parameters = compiled.parameters.map(({ name }, index): [string, Tensor] => [name, weights[index] as Tensor])
  let correct = 0
  let lossSum = 0
  for (let row = 0; row < examples; row += batchSize) {
    throwIfCancelled(message.cancel)
    const end = Math.min(row + batchSize, examples)
    const features = data.features.subarray(row * width, end * width)
    const results = await session.run(
      new Map<string, Tensor>([
        ...parameters,
        [compiled.features, { dtype: 'float32', shape: [end - row, ...compiled.exampleShape], data: features }],
        [compiled.labels, { dtype: 'int32', shape: [end - row], data: data.labels.subarray(row, end) }],
      ]),
      [compiled.hits, compiled.losses],
    )
    for (const hit of (results.get(compiled.hits) as Tensor).data as Int32Array) correct += hit
    for (const loss of (results.get(compiled.losses) as Tensor).data as Float32Array) {
      lossSum += loss <= worstLoss ? Math.round(loss / lossUnit) * lossUnit : worstLoss
    }
  }
  return { examples, correct, lossSum, seconds: (performance.now() - started) / 1000 }
}
