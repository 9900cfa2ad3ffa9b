import { compileTraining } from '@tributary/onnx-train/compile-training'
import { runOnce } from '../training/worker/runtime.ts'
import { type Arguments, dataOptions, lossFrom, optimizerFrom, trainableFrom } from './arguments.ts'
import { readModelFile, writeOutput } from './model-file.ts'
import type { Output } from './output.ts'
import { UsageError } from './usage-error.ts'

/** Writes the train step of a model as a graph, and beside it what goes in and comes out. */
export const compileCommand = async (
  given: Arguments,
  file: string,
  { folder, output }: { readonly folder: string; readonly output: Output },
): Promise<number> => {
  given.refuse('compile', 'data', 'dataset', 'epochs', 'batch-size', 'learning-rate', 'seed', ...dataOptions)
  const out = given.text('out')
  if (out === undefined) throw new UsageError('compile needs --out: the file to write the train step to')
  const options = {
    loss: lossFrom(given),
    optimizer: optimizerFrom(given),
    trainable: trainableFrom(given),
    clippingNorm: given.number('clip'),
    proximal: given.number('proximal'),
    correction: given.flag('correction'),
    sampleWeights: given.flag('sample-weights'),
    form: given.oneOf('form', ['loop', 'step'], 'loop'),
  }
  const { model } = await readModelFile(folder, file, given)
  const { model: graph, ...description } = await compileTraining(model, options, runOnce)
  await writeOutput(folder, out, graph)
  await writeOutput(folder, `${out}.json`, `${JSON.stringify({ options, ...description }, undefined, 2)}\n`)
  const { inputs, outputs } = description
  output.out(
    `${out}: ${graph.length} bytes, ${inputs.length} inputs, ${outputs.length} outputs; described in ${out}.json\n`,
  )
  return 0
}
