import type { TrainerSettings } from '@tributary/contracts/round'
import type { LossOptions } from '@tributary/onnx-train/losses/loss'
import type { OptimizerOptions } from '@tributary/onnx-train/optimisers/optimiser'
import type { TrainingSettings } from './trainer.ts'

/** What a task says of the loss; options of other losses are left out. */
export const lossOf = (
  settings: Pick<TrainerSettings, 'loss' | 'labelSmoothing' | 'ignoreIndex' | 'huberDelta'>,
): LossOptions => {
  const { loss, labelSmoothing, ignoreIndex, huberDelta } = settings
  const ignored = ignoreIndex === undefined ? {} : { ignoreIndex }
  switch (loss) {
    case 'softmax-cross-entropy':
      return { kind: loss, ...ignored, ...(labelSmoothing === undefined ? {} : { labelSmoothing }) }
    case 'negative-log-likelihood':
      return { kind: loss, ...ignored }
    case 'huber':
      return { kind: loss, ...(huberDelta === undefined ? {} : { delta: huberDelta }) }
    default:
      return { kind: loss }
  }
}

/** What a task says of the optimiser; options of other optimisers are left out. */
export const optimizerOf = (settings: TrainerSettings): OptimizerOptions => {
  const { optimizer, momentum, beta1, beta2, epsilon, weightDecay } = settings
  const decay = weightDecay === undefined ? {} : { weightDecay }
  switch (optimizer) {
    case 'sgd':
      return { kind: optimizer, ...decay }
    case 'momentum':
    case 'nesterov':
      return { kind: optimizer, ...decay, ...(momentum === undefined ? {} : { momentum }) }
    case 'adam':
    case 'adamw':
      return {
        kind: optimizer,
        ...decay,
        ...(beta1 === undefined ? {} : { beta1 }),
        ...(beta2 === undefined ? {} : { beta2 }),
        ...(epsilon === undefined ? {} : { epsilon }),
      }
  }
}

/** The settings of a task as the trainer takes them. */
export const trainingSettingsOf = (settings: TrainerSettings): TrainingSettings => ({
  localEpochs: settings.localEpochs,
  batchSize: settings.batchSize,
  learningRate: settings.learningRate,
  optimizer: optimizerOf(settings),
  loss: lossOf(settings),
  gradientClippingNorm: settings.gradientClippingNorm,
  proximal: settings.proximal,
})
