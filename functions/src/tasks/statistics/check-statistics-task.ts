import { TributaryError } from '@tributary/contracts/errors'
import { frameworksOf } from '@tributary/contracts/round'
import type { CreateTask } from '@tributary/contracts/tasks'
import type { ChosenVersion } from '../choose-version.ts'

/**
 * What a task that finds mean and variance cannot have: it is three exact sums, and nothing may bend them.
 * @throws TributaryError BODY_INVALID, MODEL_INVALID
 */
export const checkStatisticsTask = (task: CreateTask, version: ChosenVersion): void => {
  const { trainer, aggregation, serverOptimizer, evaluation } = task
  const { framework } = trainer
  const errors = (
    [
      [
        'trainer.otherFrameworks',
        frameworksOf(trainer).length > 1,
        'statistics are found by every agent, and stand alone',
      ],
      ['trainer.trainer', trainer.trainer !== undefined, 'the agent itself finds statistics'],
      ['statistics', task.statistics !== undefined, 'statistics are of the data as it is'],
      ['personalisation', task.personalisation !== undefined, 'statistics are of all devices together'],
      ['aggregation.rule', aggregation.rule !== 'weighted-mean', 'the mean of all examples is the weighted one'],
      ['aggregation.clippingNorm', aggregation.clippingNorm !== null, 'what is clipped is no mean'],
      ['serverOptimizer', serverOptimizer.name !== 'none' || serverOptimizer.learningRate !== 1, 'only none, at 1'],
      ['evaluation.dataset', evaluation.dataset !== null, 'statistics are not evaluated'],
    ] as const
  ).flatMap(([path, wrong, message]) => (wrong ? [{ path, message }] : []))
  if (framework === 'statistics' && version.statistics === null) {
    throw new TributaryError('MODEL_INVALID', {
      detail: 'framework statistics begins with a version that POST /v1/models/{model}/statistics makes',
    })
  }
  if (framework !== 'statistics' && version.statistics !== null) {
    throw new TributaryError('MODEL_INVALID', {
      detail: `the version holds feature statistics, which ${framework} cannot train; name it in "statistics" instead`,
    })
  }
  if (errors.length > 0) throw new TributaryError('BODY_INVALID', { extra: { errors } })
}
