import { inspectModel } from '@tributary/onnx-train/inspect/inspect-model'
import { OnnxModelError } from '@tributary/onnx-train/onnx-model-error'
import { runOnce } from '../training/worker/runtime.ts'
import { type Arguments, dataOptions, lossFrom, optimizerFrom, trainableFrom } from './arguments.ts'
import { describeInspection } from './describe-inspection.ts'
import { readModelFile } from './model-file.ts'
import type { Output } from './output.ts'

/** Says what of a model can be trained. Returns the exit code: 1 where it cannot. */
export const inspectCommand = async (
  given: Arguments,
  file: string,
  { folder, output }: { readonly folder: string; readonly output: Output },
): Promise<number> => {
  given.refuse('inspect', 'out', 'data', 'dataset', 'epochs', 'batch-size', 'learning-rate', 'seed', ...dataOptions)
  const options = {
    loss: lossFrom(given),
    optimizer: optimizerFrom(given),
    trainable: trainableFrom(given),
    clippingNorm: given.number('clip'),
    proximal: given.number('proximal'),
    form: 'loop',
  } as const
  const { model, bytes } = await readModelFile(folder, file, given)
  const inspection = await inspectModel(model, options, runOnce)
  const { training } = inspection
  // Wrong options are no property of the model.
  if (training instanceof OnnxModelError && training.code === 'OPTIONS_INVALID') throw training
  output.out(describeInspection(inspection, file, bytes))
  return training instanceof OnnxModelError ? 1 : 0
}
