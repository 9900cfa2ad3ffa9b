/**
 * Training speed of compiled ONNX graphs in samples a second, one thread, plain SGD: the loop form (one run makes many
 * steps), the single-step form and, where an interpreter with PyTorch is found, PyTorch eager; all in the same run on
 * the same machine, blocks taken in turns, medians printed.
 *
 *   node bench/onnx-train.ts [batch size, default 10] [Python interpreter, default python3]
 */
import { compileTraining } from '@tributary/onnx-train/compile-training'
import { readModel } from '@tributary/onnx-train/read-model'
import { loadGolden } from '@tributary/onnx-train/testing/golden-fixture'
import { ortRunner } from '@tributary/onnx-train/testing/ort-runner'
import { RunningTraining } from '@tributary/onnx-train/testing/running-training'
import { writeModel } from '@tributary/onnx-train/write-model'
import { PyTorchPeer } from './onnx-train-peer.ts'
import { median } from './statistics.ts'

const batchSize = Number(process.argv[2] ?? 10)
const blocks = 9
const blockSeconds = 0.4

/** Steps in one run of the loop form, and how fast it has to be: times PyTorch at batch 10. */
const models = [
  { name: '2nn', stepsPerRun: 60, limit: 2.5 },
  { name: 'transformer', stepsPerRun: 60, limit: 2.5 },
  { name: 'lstm', stepsPerRun: 60, limit: 2.5 },
  { name: 'mcmahan-cnn', stepsPerRun: 12, limit: 0.85 },
] as const

await using peer = await PyTorchPeer.start(process.argv[3] ?? 'python3')
console.log(`batch ${batchSize}, 1 thread, ${peer === undefined ? 'PyTorch not found' : `PyTorch ${peer.version}`}`)

for (const { name, stepsPerRun, limit } of models) {
  const { model } = loadGolden(name)
  const compile = async (form: 'loop' | 'step'): Promise<RunningTraining> =>
    RunningTraining.open(
      readModel(writeModel(model), { maxBytes: 1e8 }),
      await compileTraining(model, { loss: 'softmax-cross-entropy', optimizer: 'sgd', form }, ortRunner),
      { batchSize, stepsPerRun, vocabulary: 64 },
    )
  await using loop = await compile('loop')
  await using step = await compile('step')
  const forms: [string, (seconds: number) => Promise<number>][] = [
    ['loop', seconds => loop.measure(seconds)],
    ['step', seconds => step.measure(seconds)],
  ]
  if (peer !== undefined) forms.push(['pytorch', seconds => peer.measure(name, batchSize, seconds)])
  const found = new Map<string, number[]>(forms.map(([form]) => [form, []]))
  for (const [, measure] of forms) await measure(0.1)
  for (let block = 0; block < blocks; block++) {
    for (const [form, measure] of forms) found.get(form)?.push(await measure(blockSeconds))
  }
  const medians = [...found].map(([form, speeds]) => `${form} ${median(speeds).toFixed(0)}/s`)
  const ratio = peer && median(found.get('loop') ?? []) / median(found.get('pytorch') ?? [])
  const judged = (value: number): string => (value >= limit ? ` (at least ${limit})` : ` (BELOW ${limit})`)
  const verdict =
    ratio === undefined ? [] : [`loop/pytorch ${ratio.toFixed(2)}${batchSize === 10 ? judged(ratio) : ''}`]
  console.log(`${name} (${loop.nodesPerStep} nodes a step): ${[...medians, ...verdict].join(', ')}`)
}
