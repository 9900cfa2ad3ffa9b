import { type Tensor, zeros } from '@tributary/onnx-train/tensor'
import type { TrainProgress, TrainResult } from '../trainer.ts'
import { TrainingDivergedError } from '../training-error.ts'
import { ignoredLabel } from './data-checks.ts'
import type { WorkerData } from './fitted-data.ts'
import { joinWeights, splitWeights } from './flat-weights.ts'
import type { TrainingProgram } from './graph-cache.ts'
import type { TrainMessage } from './protocol.ts'
import { flushesToZero, release } from './runtime.ts'
import { StepsPerRun } from './steps-per-run.ts'

/**
 * Trains over all local epochs. A run makes as many steps as fit its time, and never reaches over the end of an epoch;
 * what is left of an epoch below the batch size is one more run with one smaller step. Steps and their rows follow
 * from the orders alone, so how many steps a run takes changes nothing. The optimiser starts from zeros and is forgotten
 * at the end: its state lives within one round.
 * Throws TrainingDivergedError, TrainingError, the signal's reason.
 */
export const runTraining = async (
  message: TrainMessage,
  program: TrainingProgram,
  data: WorkerData,
  signal: AbortSignal,
  report: (progress: TrainProgress) => void,
): Promise<TrainResult> => {
  const { compiled, session, manifest } = program
  const { batchSize, learningRate } = message.settings
  const fitted = data.fit({ ...compiled, ignoreIndex: ignoredLabel(message.loss) })
  const started = performance.now()
  const start = new Map(splitWeights(message.weights, manifest).map((tensor, index) => [manifest[index]?.name, tensor]))
  const startOf = ({ name }: { name: string }): Tensor => start.get(name) as Tensor
  const fixed: [string, Tensor][] = [
    ...[...compiled.frozen, ...compiled.anchors].map((each): [string, Tensor] => [each.input, startOf(each)]),
    [compiled.learningRate, { dtype: 'float32', shape: [], data: Float32Array.of(learningRate) }],
  ]
  // Frozen weights and anchors are part of what the job starts from; without any, its first run makes an end of it.
  const startIsKept = compiled.anchors.length > 0 || compiled.parameters.length < manifest.length
  const carried = [...compiled.parameters, ...compiled.state]
  const fetches = [...carried.map(({ output }) => output), compiled.losses]
  const totalSteps = message.orders.reduce((sum, order) => sum + Math.ceil(order.length / batchSize), 0)
  const pace = paceOf(program, batchSize)
  let current = [...compiled.parameters.map(startOf), ...compiled.state.map(({ dtype, shape }) => zeros(dtype, shape))]
  const total = { steps: 0, examplesSeen: 0, loss: 0 }
  for (const epoch of message.orders) {
    for (let row = 0; row < epoch.length; ) {
      signal.throwIfAborted()
      const { steps, batch } = nextRun(epoch.length - row, batchSize, pace.steps)
      const { features, labels, order } = await fitted.choose(epoch.subarray(row, row + steps * batch))
      const runStarted = performance.now()
      const results = await session.run(
        new Map<string, Tensor>([
          ...carried.map(({ input }, index): [string, Tensor] => [input, current[index] as Tensor]),
          ...fixed,
          [compiled.features, features],
          [compiled.labels, labels],
          [compiled.order ?? '', { dtype: 'int32', shape: [steps, batch], data: order }],
        ]),
        fetches,
        total.steps + steps === totalSteps,
      )
      const seconds = (performance.now() - runStarted) / 1000
      if (batch === batchSize) pace.observe(steps, seconds)
      if (total.steps > 0 || !startIsKept) release(current)
      current = carried.map(({ output }) => results.get(output) as Tensor)
      const losses = (results.get(compiled.losses) as Tensor).data as Float32Array
      const diverged = losses.findIndex(loss => !Number.isFinite(loss))
      if (diverged !== -1) throw new TrainingDivergedError(total.steps + diverged + 1)
      // Added one by one, so that the sum's rounding does not depend on how steps were grouped into runs.
      for (const loss of losses) total.loss += loss * batch
      total.steps += steps
      total.examplesSeen += order.length
      row += order.length
      report({
        steps: total.steps,
        totalSteps,
        loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
        examplesPerSecond: order.length / seconds,
      })
    }
  }
  const trained = new Map(compiled.parameters.map(({ name }, index) => [name, current[index] as Tensor]))
  const flat = joinWeights(manifest.map(each => trained.get(each.name) ?? startOf(each)))
  release(current)
  release([{ dtype: 'float32', shape: [], data: message.weights }])
  if (flat === undefined) throw new TrainingDivergedError(total.steps)
  return {
    weights: flat,
    steps: total.steps,
    examplesSeen: total.examplesSeen,
    meanLoss: total.loss / total.examplesSeen,
    seconds: (performance.now() - started) / 1000,
    flushToZero: flushesToZero(),
  }
}

const nextRun = (left: number, batchSize: number, stepsPerRun: number): { steps: number; batch: number } =>
  left < batchSize
    ? { steps: 1, batch: left }
    : { steps: Math.min(stepsPerRun, Math.floor(left / batchSize)), batch: batchSize }

const paceOf = ({ pace }: TrainingProgram, batchSize: number): StepsPerRun => {
  const known = pace.get(batchSize) ?? new StepsPerRun()
  // Batch sizes come from tasks: a handful is normal, endlessly many are not worth remembering.
  if (pace.size >= 32) pace.clear()
  pace.set(batchSize, known)
  return known
}
