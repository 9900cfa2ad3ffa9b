/**
 * Training speed of compiled ONNX graphs in samples a second, one thread, plain SGD: the loop form (one run makes many
 * steps) beside the single-step form, in the same process on the same data, blocks interleaved, medians printed.
 *
 *   node bench/onnx-train.ts [batch size, default 10]
 */
import { compileTraining } from '@tributary/onnx-train/compile-training'
import { mcmahan2nn, mcmahanCnn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import { startValues } from '@tributary/onnx-train/testing/gradients'
import { loadMnist } from '@tributary/onnx-train/testing/mnist'
import { ortRunner } from '@tributary/onnx-train/testing/ort-runner'
import { TrainingSession, type Weights } from '@tributary/onnx-train/testing/train-loop'

const batchSize = Number(process.argv[2] ?? 10)
const blocks = 7
const blockSeconds = 0.6
const learningRate = 0.01

type Form = { readonly name: string; readonly samplesPerSecond: number[]; readonly advance: () => Promise<number> }

for (const [name, bytes, stepsPerRun] of [
  ['2NN', mcmahan2nn(1), 60],
  ['CNN', mcmahanCnn(1), 12],
] as const) {
  const model = readModel(bytes, { maxBytes: 1e8 })
  const compile = async (form: 'loop' | 'step'): Promise<TrainingSession> =>
    TrainingSession.open(
      await compileTraining(model, { loss: 'softmax-cross-entropy', optimizer: 'sgd', form }, ortRunner),
    )
  using loop = await compile('loop')
  using step = await compile('step')
  const data = loadMnist('train', batchSize * stepsPerRun)
  const rows = Int32Array.from(data.labels, (_, row) => row)
  let weights: Weights = [...startValues(model).values()]
  let batch = 0
  const forms: Form[] = [
    {
      name: 'loop',
      samplesPerSecond: [],
      advance: async () => {
        weights = (await loop.run(weights, data, learningRate, { steps: stepsPerRun, rows })).weights
        return rows.length
      },
    },
    {
      name: 'step',
      samplesPerSecond: [],
      advance: async () => {
        const start = (batch++ % stepsPerRun) * batchSize
        const images = data.images.subarray(start * 784, (start + batchSize) * 784)
        const labels = data.labels.subarray(start, start + batchSize)
        weights = (await step.run(weights, { images, labels }, learningRate)).weights
        return batchSize
      },
    },
  ]
  for (const { advance } of forms) await advance()
  for (let block = 0; block < blocks; block++) {
    for (const form of forms) form.samplesPerSecond.push(await measure(form.advance))
  }
  const [looped, single] = forms.map(({ samplesPerSecond }) => median(samplesPerSecond)) as [number, number]
  const row = [`loop ${looped.toFixed(0)}/s`, `step ${single.toFixed(0)}/s`, `ratio ${(looped / single).toFixed(2)}`]
  console.log(`${name}, batch ${batchSize}, 1 thread: ${row.join(', ')}`)
}

/** Samples a second over one block. */
async function measure(advance: () => Promise<number>): Promise<number> {
  const started = performance.now()
  let samples = 0
  while (performance.now() - started < blockSeconds * 1000) samples += await advance()
  return (samples * 1000) / (performance.now() - started)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
