import { setTimeout as delay } from 'node:timers/promises'
import type { RoundView, TaskDetail } from '@tributary/contracts/tasks'
import type { ApiClient } from '../platform/api-client.ts'
import { regionName } from '../platform/fleet.ts'
import type { StartOptions } from '../start/options.ts'
import { datasetName } from './device-data.ts'
import type { StartModel } from './start-model.ts'

const pollMillis = 250
const evaluationSeconds = 60
const finalStates: readonly string[] = ['completed', 'failed', 'cancelled']

/** Creates the demo's task: as a script of an ML engineer would, by the public API. */
export const createDemoTask = (api: ApiClient, options: StartOptions, start: StartModel): Promise<{ id: string }> =>
  api.call('createTask', {
    body: {
      name: `MNIST ${options.model}, ${options.devices} devices`,
      model: start,
      rounds: options.rounds,
      trainer: { localEpochs: options.localEpochs, batchSize: options.batchSize, learningRate: options.learningRate },
      cohort: {
        dataset: datasetName,
        size: {
          fraction: options.fraction,
          // No spare devices: which of them would come first depends on the day, and the same command gives the same bytes.
          overSelection: 1,
          // Half of a round's devices may drop out without costing the round.
          quorum: Math.max(1, Math.floor((options.devices * options.fraction) / 2)),
          minimumToStart: Math.max(1, Math.floor((options.devices * options.fraction) / 2)),
        },
      },
      regions: Array.from({ length: options.regions }, (_, index) => regionName(index)),
      deadlines: { selectionSeconds: 20, roundSeconds: options.model === 'cnn' ? 1800 : 300 },
      evaluation: { dataset: datasetName, deadlineSeconds: evaluationSeconds },
      seed: options.seed,
    },
  })

/** Whether evaluations of its versions are to come. */
const isEvaluated = ({ settings }: TaskDetail): boolean =>
  (settings.evaluation as { readonly dataset?: unknown } | undefined)?.dataset !== null

/** A round is shown once its version was evaluated, or its evaluation can no longer come. */
const isShown = (task: TaskDetail, round: RoundView): boolean => {
  if (round.state === 'abandoned') return true
  if (!isEvaluated(task)) return round.state === 'committed'
  const settled = round.settledAt === null ? 0 : Date.parse(round.settledAt)
  return round.state === 'committed' && (round.accuracy !== null || Date.now() - settled > evaluationSeconds * 1000)
}

/**
 * Follows a task by the API until it is final and its last version was evaluated.
 * @param onRound called once for each settled round or abandoned attempt, in order
 */
export const followTask = async (
  api: ApiClient,
  task: string,
  onRound: (round: RoundView) => void,
  signal: AbortSignal,
): Promise<TaskDetail> => {
  const shown = new Set<string>()
  for (;;) {
    const detail = await api.call('getTask', { params: { task }, signal })
    for (const round of detail.history) {
      const key = `${round.round}/${round.attempt}`
      if (shown.has(key)) continue
      if (!isShown(detail, round)) break
      shown.add(key)
      onRound(round)
    }
    const isWhole = detail.history.every(round => shown.has(`${round.round}/${round.attempt}`))
    if (finalStates.includes(detail.state) && (isWhole || detail.state !== 'completed')) return detail
    await delay(pollMillis, undefined, { signal })
  }
}
