import type { EvaluationJob, TrainingJob } from '../agent/job/work.ts'
import type { Work } from './decide.ts'

/** Training, as the policy looks at it. */
export const workOfTraining = ({ attempt, taskName, model, groups, dataset, trainer, weights }: TrainingJob): Work => ({
  kind: 'training',
  task: { id: attempt.task, name: taskName },
  model,
  dataset,
  framework: trainer.framework,
  trainer: trainer.trainer ?? 'built-in',
  groups,
  // A delta has the size of what it is a delta of.
  updateBytes: weights.bytes,
})

/** Evaluation; what it sends is a few numbers. */
export const workOfEvaluation = ({ task, taskName, model, dataset, trainer }: EvaluationJob): Work => ({
  kind: 'evaluation',
  task: { id: task, name: taskName },
  model,
  dataset,
  framework: trainer.framework,
  trainer: trainer.trainer ?? 'built-in',
  groups: undefined,
  updateBytes: 0,
})
