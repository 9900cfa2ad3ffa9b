import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import type { EvaluationWork, TrainingWork } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { pytorchPython } from '@tributary/local-stack/testing/framework-python'
import { decodeSafetensors } from '@tributary/tensors/safetensors/file'
import { TestAuthority } from '../testing/certificates.ts'
import {
  bundle,
  evaluationWork,
  identityOf,
  publishBundle,
  startAgent,
  temporaryFolder,
  trainingWork,
} from '../testing/federation.ts'
import { workerExamples, workerSource } from '../testing/python-code.ts'
import { TestNode } from '../testing/test-node.ts'
import { withPython } from '../testing/with-python.ts'
import type { Identity } from '../transport/identity.ts'

const deadlineSeconds = 90

/** A trainer that takes ever more memory, in parts that are none too large each. */
const hungry = `
import torch
from mcmahan_pytorch import TwoNN
from tributary_worker.pytorch import PyTorchTrainer

def train(model, loader, optimizer):
    print("secret rows come earlier in the log " * 100)
    print("about to take memory", flush=True)
    kept = []
    while True: kept.append(torch.ones(2**22))

trainer = PyTorchTrainer(TwoNN, train=train)
`

/** The same work for a trainer of the owner's, without a graph. */
const forPyTorch = <Work extends TrainingWork | EvaluationWork>(work: Work, trainer: string): Work => {
  const { graph, ...rest } = work
  assert.ok(graph !== undefined && work.trainer !== undefined)
  return { ...rest, trainer: { ...work.trainer, framework: 'pytorch', trainer } } as unknown as Work
}

suite('an agent with trainers of its owner', () => {
  let authority: TestAuthority
  let identity: Identity
  before(async () => {
    authority = await TestAuthority.create()
    identity = await identityOf(authority)
  })

  const install = async (folder: string, python: string, trainers: readonly object[]): Promise<void> => {
    const dataDir = join(folder, 'data')
    await mkdir(join(dataDir, 'code'), { recursive: true })
    await writeFile(join(dataDir, 'code', 'hungry.py'), hungry)
    const common = { framework: 'pytorch', python, path: [workerSource, workerExamples, 'code'], threads: 1 }
    const file = JSON.stringify({ trainers: trainers.map(trainer => ({ ...common, ...trainer })) })
    await writeFile(join(dataDir, 'trainers.json'), file)
  }

  const startNode = async (): Promise<TestNode> => {
    const node = await TestNode.start(authority)
    publishBundle(node)
    return node
  }

  test(
    'says which frameworks work here, trains a model that has no graph, and leaves no files',
    withPython('PyTorch', pytorchPython, async python => {
      await using folder = await temporaryFolder()
      await using node = await startNode()
      await install(folder.path, python, [{ name: 'two-nn', trainer: 'mcmahan_pytorch:two_nn' }])
      await using agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
      const known = () => node.checkIns.at(-1)?.frameworks.includes('pytorch') === true
      await node.until('PyTorch is reported', known, deadlineSeconds)
      assert.deepEqual(node.checkIns[0]?.frameworks, ['onnx', 'statistics'])
      node.training = forPyTorch(trainingWork(), 'two-nn')
      const accepted = () => [...node.uploads.values()].some(upload => upload.accepted)
      await node.until('an accepted update', accepted, deadlineSeconds)
      const [upload] = [...node.uploads.values()]
      assert.equal(upload?.header.examples, 20n)
      assert.equal(upload?.header.metrics.find(({ name }) => name === 'steps')?.value, 2n)
      assert.ok(upload?.header.metrics.some(({ name, value }) => name === 'loss_q20' && value > 0n))
      const delta = decodeSafetensors(upload?.body ?? Buffer.alloc(0))
      assert.deepEqual(
        [...delta.keys()],
        [...decodeSafetensors(bundle.weights).keys()].map(name => `delta/${name}`),
      )
      assert.deepEqual(await readdir(join(agent.stateDir, 'python', 'jobs')), [])
    }),
  )

  test(
    'evaluates with the trainer of the task',
    withPython('PyTorch', pytorchPython, async python => {
      await using folder = await temporaryFolder()
      await using node = await startNode()
      await install(folder.path, python, [{ name: 'two-nn', trainer: 'mcmahan_pytorch:two_nn' }])
      await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path, heldOut: true })
      node.evaluation = forPyTorch(evaluationWork(), 'two-nn')
      await node.until('a report', () => node.reports.length > 0, deadlineSeconds)
      const found = new Map(node.reports[0]?.metrics.map(({ name, value }) => [name, value]))
      assert.equal(node.reports[0]?.examples, 20n)
      assert.ok((found.get('loss_q20') ?? 0n) > 0n)
      assert.ok((found.get('correct') ?? -1n) >= 0n)
    }),
  )

  test(
    'declares work failed that passes its memory, with the end of the log and without the rest',
    withPython('PyTorch', pytorchPython, async python => {
      await using folder = await temporaryFolder()
      await using node = await startNode()
      await install(folder.path, python, [{ name: 'hungry', trainer: 'hungry:trainer', memoryMegabytes: 500 }])
      await using agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
      node.training = forPyTorch(trainingWork(), 'hungry')
      const failed = () => node.checkIns.flatMap(checkIn => checkIn.failed)[0]
      await node.until('a declared failure', () => failed() !== undefined, deadlineSeconds)
      assert.equal(failed()?.code, 'MEMORY_LIMIT')
      assert.match(failed()?.detail ?? '', /500|524288000|allocate/)
      assert.ok(Buffer.byteLength(failed()?.detail ?? '') <= 500)
      assert.match(failed()?.logTail ?? '', /about to take memory/)
      assert.ok(!(failed()?.logTail ?? '').includes(folder.path))
      assert.equal(node.pushes.length, 0)
      assert.deepEqual(await readdir(join(agent.stateDir, 'python', 'jobs')), [])
    }),
  )

  test(
    'stops a trainer within one check-in when the attempt is cancelled',
    withPython('PyTorch', pytorchPython, async python => {
      await using folder = await temporaryFolder()
      await using node = await startNode()
      await install(folder.path, python, [{ name: 'two-nn', trainer: 'mcmahan_pytorch:two_nn' }])
      await using agent = await startAgent(identity, [node.endpoint], { folder: folder.path, examples: 1000 })
      node.training = forPyTorch(trainingWork({ localEpochs: 1000, batchSize: 1 }), 'two-nn')
      const begun = () => (node.checkIns.at(-1)?.running[0]?.progress ?? 0) > 0
      await node.until('training is on its way', begun, deadlineSeconds)
      node.settled = [{ attempt: node.training.attempt as never, outcome: 'cancelled' }]
      node.training = undefined
      await node.until('nothing runs', () => node.checkIns.at(-1)?.running.length === 0, deadlineSeconds)
      assert.deepEqual(agent.updates.list(), [])
      assert.deepEqual(await readdir(join(agent.stateDir, 'python', 'jobs')), [])
    }),
  )

  test('refuses work for a trainer that is not installed: central cannot name code', async () => {
    await using folder = await temporaryFolder()
    await using node = await startNode()
    await install(folder.path, '/nowhere/python', [{ name: 'two-nn', trainer: 'mcmahan_pytorch:two_nn' }])
    await using _agent = await startAgent(identity, [node.endpoint], { folder: folder.path })
    let rounds = 0
    for (const trainer of ['os-system', 'os:system', '../evil', '']) {
      rounds += 1
      const token = `token|${rounds}`
      node.training = { ...forPyTorch(trainingWork({ round: rounds }), trainer), token }
      const failed = () => node.checkIns.flatMap(checkIn => checkIn.failed).find(failure => failure.token === token)
      await node.until(`a refusal of ${trainer}`, () => failed() !== undefined, 30)
      assert.equal(failed()?.code, 'WORK_UNSUPPORTED')
    }
  })
})
