import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ensureDeviceData } from '../demo/device-data.ts'
import { followTask } from '../demo/run-task.ts'
import { ApiClient } from '../platform/api-client.ts'
import { readStackEnvironment } from '../settings/config.ts'
import { prepareFolders } from '../settings/folders.ts'
import { pytorchPython, tensorflowPython } from '../testing/framework-python.ts'
import { declareTable, linearInPytorch } from '../testing/scaled-table.ts'
import { startStack } from '../testing/stack-run.ts'
import { learnByStatistics } from './learn-by-statistics.ts'

const portBase = 29_000
const root = join(import.meta.dirname, '..', '..', '..', '..')
const worker = join(root, 'edge-agent', 'python')

/** A trainer that takes ever more memory, in parts that are none too large each. */
const hungry = `
import torch
from mcmahan_pytorch import TwoNN
from tributary_worker.pytorch import PyTorchTrainer

def train(model, loader, optimizer):
    print("about to take memory", __file__, flush=True)
    kept = []
    while True: kept.append(torch.ones(2**22))

trainer = PyTorchTrainer(TwoNN, train=train)
`

/** What the owners of the second to the fourth device installed, under one name; the first and the last have the agent alone. */
const installed = (pytorch: string, tensorflow: string): readonly (object | undefined)[] => [
  undefined,
  { framework: 'pytorch', python: pytorch, trainer: 'mcmahan_pytorch:two_nn' },
  { framework: 'keras', python: tensorflow, trainer: 'mcmahan_keras:two_nn' },
  { framework: 'pytorch', python: pytorch, trainer: 'hungry:trainer', memoryMegabytes: 700 },
]

/** What the owner of the last device does not want. */
const policy = { tasks: { deny: ['one task*'] } }

test('one task trains in ONNX, PyTorch and Keras, and completes without a device whose trainer is killed and one whose owner refuses', async context => {
  const [pytorch, tensorflow] = [await pytorchPython(), await tensorflowPython()]
  if (pytorch === undefined || tensorflow === undefined) {
    assert.ok(process.env.CI === undefined, 'CI has no Python with PyTorch or none with TensorFlow')
    return context.skip('there is no Python with PyTorch or none with TensorFlow')
  }
  const stateDir = await mkdtemp(join(tmpdir(), 'tributary-e2e-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(stateDir, { recursive: true, force: true }))
  const { state, logs } = await prepareFolders(root, portBase, { ...readStackEnvironment(), stateDir })
  const data = await ensureDeviceData(join(state, 'data'), { devices: 5, split: { kind: 'iid' }, seed: 1 })
  for (const [index, folder] of data.devices.entries()) await declareTable(folder, index)
  for (const [index, trainer] of installed(pytorch, tensorflow).entries()) {
    const folder = data.devices[index] ?? ''
    if (trainer === undefined) continue
    await writeFile(join(folder, 'hungry.py'), hungry)
    await writeFile(join(folder, 'linear.py'), linearInPytorch)
    const path = [join(worker, 'src'), join(worker, 'examples'), '.']
    const trainers: object[] = [{ name: 'two-nn', path, threads: 1, ...trainer }]
    if (index === 1) trainers.push({ ...trainer, name: 'linear', path, threads: 1, trainer: 'linear:trainer' })
    await writeFile(join(folder, 'trainers.json'), JSON.stringify({ trainers }))
  }
  await writeFile(join(data.devices[4] ?? '', 'policy.json'), JSON.stringify(policy))
  const args = ['--json', '--devices', '5', '--regions', '1', '--rounds', '1', '--batch-size', '100']
  const run = stack.use(startStack(args, { stateDir, portBase }))
  await run.untilLine(/Serving until Ctrl-C/, 240)
  const token = (await run.untilLine(/operator +(trib_\S+)/, 1))[1] ?? ''
  const api = new ApiClient(`http://127.0.0.1:${portBase + 1}`, token)

  const model = (await api.call('listModels')).items[0]?.id ?? ''
  const start = (await api.call('listVersions', { params: { model } })).items.find(({ number }) => number === 0)
  const { id: task } = await api.call('createTask', {
    body: {
      name: 'one task, three frameworks',
      model: { model, version: start?.id ?? '' },
      rounds: 2,
      trainer: {
        framework: 'pytorch',
        otherFrameworks: ['keras', 'onnx'],
        trainer: 'two-nn',
        batchSize: 50,
        learningRate: 0.1,
      },
      cohort: { dataset: 'mnist', size: { quorum: 3, minimumToStart: 5, overSelection: 1 } },
      deadlines: { selectionSeconds: 20, roundSeconds: 120 },
      evaluation: { dataset: 'mnist' },
      seed: 1,
    },
  })
  const detail = await followTask(api, task, () => {}, AbortSignal.timeout(300_000))
  assert.equal(detail.state, 'completed', JSON.stringify(detail.reason))
  assert.deepEqual(
    detail.history.map(({ state: outcome, accepted }) => [outcome, accepted]),
    [
      ['committed', 3],
      ['committed', 3],
    ],
  )
  const participants = (await api.call('listParticipants', { params: { task } })).items
  const found = participants.map(({ round, label, verdict, code }) => `${round} ${label} ${verdict} ${code}`)
  assert.deepEqual(found.toSorted(), [
    '1 device-1 accepted null',
    '1 device-2 accepted null',
    '1 device-3 accepted null',
    '1 device-4 failed MEMORY_LIMIT',
    '1 device-5 failed POLICY_REFUSED',
    '2 device-1 accepted null',
    '2 device-2 accepted null',
    '2 device-3 accepted null',
    '2 device-4 failed MEMORY_LIMIT',
    '2 device-5 failed POLICY_REFUSED',
  ])
  // The operator reads by which rule, and what the trainer said before it was killed.
  const partOf = async (label: string) => {
    const device = participants.find(part => part.label === label)?.device ?? ''
    const { attempts } = await api.call('getParticipant', { params: { task, round: '1', device } })
    return { device, ...attempts[0] }
  }
  assert.equal((await partOf('device-5')).detail, `Rule "tasks.deny" of the owner's policy.`)
  // Either an allocation failed, and Python says where, or the process was killed first.
  assert.match((await partOf('device-4')).deviceLog ?? '', /^about to take memory …\/hungry\.py/)
  const trainedIn = await Promise.all([1, 2, 3, 4].map(number => frameworkInLog(logs, number, task)))
  assert.deepEqual(trainedIn, ['onnx', 'pytorch', 'keras', 'pytorch'])
  const [first, second] = detail.history.map(({ accuracy }) => accuracy ?? 0)
  assert.ok((first ?? 0) > 0.8 && (second ?? 0) > (first ?? 0), `accuracies ${first} and ${second}`)
  const { f1Micro, f1Macro, top5Accuracy, perplexity } = detail.history.at(-1)?.results ?? {}
  assert.ok((f1Macro ?? 0) > 0.8 && (top5Accuracy ?? 0) > (second ?? 0), `F1 ${f1Macro}, top 5 ${top5Accuracy}`)
  // One prediction an example: then all that is right is right, and the perplexity would tell the loss again.
  assert.deepEqual([f1Micro, perplexity], [second, undefined])

  await context.test('mean and variance of all devices are found, and what they normalise is learnt', () =>
    learnByStatistics(api, data.devices.length),
  )
  // Looked at again every half minute: schemas are known once the data is converted.
  const { device } = await partOf('device-1')
  assert.deepEqual(await schemaOf(api, device, 'mnist', AbortSignal.timeout(90_000)), {
    format: 'idx',
    shape: [784],
    dtype: 'u8',
    label: { kind: 'class', size: 1, classes: 10 },
  })
})

/** What a device tells of a data set, once it does. */
const schemaOf = async (api: ApiClient, device: string, dataset: string, signal: AbortSignal) => {
  for (;;) {
    const { datasetDescriptions } = await api.call('getDevice', { params: { device }, signal })
    const found = datasetDescriptions?.datasets.find(({ name }) => name === dataset)?.schema
    if (found !== undefined) return found
    await delay(500, undefined, { signal })
  }
}

/** In what a device says that it trained for a task. */
const frameworkInLog = async (logs: string, number: number, task: string): Promise<string> => {
  const lines = (await readFile(join(logs, `agent-device-${number}.log`), 'utf8')).split('\n')
  const found = lines
    .filter(line => line.includes(task) && line.includes('"msg":"training"'))
    .map(line => /"framework":"(\w+)"/.exec(line)?.[1])
  return [...new Set(found)].join(' and ')
}
