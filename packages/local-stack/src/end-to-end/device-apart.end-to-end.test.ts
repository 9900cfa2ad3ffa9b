import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { TaskDetail } from '@tributary/contracts/tasks'
import { encodeIdx, readMnist } from '../demo/mnist.ts'
import { ApiClient } from '../platform/api-client.ts'
import { stackPorts } from '../settings/ports.ts'
import { type Launched, launch } from '../testing/launch.ts'
import { Link } from '../testing/link.ts'
import { type StackRun, startStack } from '../testing/stack-run.ts'

const root = join(import.meta.dirname, '..', '..', '..', '..')
const portBase = 27_000
const examples = 2000
const dataset = 'apart'
/** McMahan's 2NN: 199 210 numbers of four bytes. */
const modelBytes = 4 * 199_210
/** A chunk that was under way is lost with its connection. */
const tornBytes = 256 * 1024
/** What else passes in a round: handshakes, graph, manifest, check-ins. */
const besideBytes = 100_000

let folder: string
let stack: StackRun
let api: ApiClient
let link: Link
let device: string
/** Of the demo's model: the version that it begins with, and the one that its task made. */
let versions: { model: string; start: string; trained: string }

/** A device of its own beside those of the stack, enrolled as its owner would, with the only data set of its name. */
const enrolApart = async (): Promise<string> => {
  const data = join(folder, 'data')
  await mkdir(data)
  const { train } = await readMnist()
  const { images, labels } = encodeIdx(
    train,
    Array.from({ length: examples }, (_, row) => row),
  )
  await writeFile(join(data, 'images.idx'), images)
  await writeFile(join(data, 'labels.idx'), labels)
  const declared = { name: dataset, format: 'idx', images: 'images.idx', labels: 'labels.idx', scale: 255 }
  await writeFile(join(data, 'datasets.json'), JSON.stringify({ datasets: [declared] }))
  const { code } = await api.call('createEnrolmentCode', {
    body: { region: 'region-1', expiresAt: new Date(Date.now() + 3_600_000).toISOString() },
  })
  const url = `http://127.0.0.1:${portBase + 1}`
  const line = [
    'run',
    '--silent',
    'agent',
    '--',
    'enrol',
    '--url',
    url,
    '--code',
    code ?? '',
    '--yes',
    '--node',
    link.endpoint,
  ]
  await promisify(execFile)('npm', [...line, '--state-dir', join(folder, 'state'), '--data-dir', data], { cwd: root })
  return JSON.parse(await readFile(join(folder, 'state', 'agent.json'), 'utf8')).device
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-e2e-'))
  // Postgres runs as another user, below it.
  await chmod(folder, 0o711)
  const args = ['--json', '--devices', '2', '--regions', '1', '--rounds', '1', '--batch-size', '100']
  stack = startStack(args, { stateDir: join(folder, 'stack'), portBase })
  await stack.untilLine(/Serving until Ctrl-C/, 240)
  const token = (await stack.untilLine(/operator +(trib_\S+)/, 1))[1] ?? ''
  api = new ApiClient(`http://127.0.0.1:${portBase + 1}`, token)
  link = await Link.open(`localhost:${stackPorts({ portBase, regions: 1 }).nodeGrpc[0]}`)
  const model = (await api.call('listModels')).items[0]?.id ?? ''
  const { items } = await api.call('listVersions', { params: { model } })
  const version = (wanted: number): string => items.find(({ number }) => number === wanted)?.id ?? ''
  versions = { model, start: version(0), trained: version(1) }
  device = await enrolApart()
})
after(async () => {
  await link?.[Symbol.asyncDispose]()
  await stack?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

/** The agent from its bundle, as the stack starts it. */
const startAgent = (): Launched =>
  launch([join(root, 'edge-agent', 'dist', 'main.mjs')], {
    PATH: process.env.PATH ?? '',
    STATE_DIR: join(folder, 'state'),
    NODE_NO_WARNINGS: '1',
  })

type TaskOptions = { version: string; rounds: number; localEpochs: number }

/** For the one device that has the data set. */
const createTask = ({ version, rounds, localEpochs }: TaskOptions): Promise<{ id: string }> =>
  api.call('createTask', {
    body: {
      name: `${dataset}, ${rounds} rounds`,
      model: { model: versions.model, version },
      rounds,
      trainer: { localEpochs, batchSize: 10, learningRate: 0.05 },
      cohort: { dataset, size: { goal: 1, overSelection: 1 } },
      deadlines: { selectionSeconds: 60, roundSeconds: 300 },
      seed: 1,
    },
  })

const untilFinal = async (task: string): Promise<TaskDetail> => {
  const signal = AbortSignal.timeout(240_000)
  for (;;) {
    const detail = await api.call('getTask', { params: { task }, signal })
    if (['completed', 'failed', 'cancelled'].includes(detail.state)) return detail
    await delay(100, undefined, { signal })
  }
}

/** Each round was committed at its first attempt, with all examples of the one device, once. */
const assertOnce = async (detail: TaskDetail, rounds: number): Promise<void> => {
  assert.equal(detail.state, 'completed', JSON.stringify(detail.reason))
  assert.deepEqual(
    detail.history.map(({ round, attempt, state, accepted, weight }) => ({ round, attempt, state, accepted, weight })),
    Array.from({ length: rounds }, (_, index) => ({
      round: index + 1,
      attempt: 1,
      state: 'committed',
      accepted: 1,
      weight: examples,
    })),
  )
  const { items } = await api.call('listParticipants', { params: { task: detail.id } })
  assert.deepEqual(
    items.map(found => [found.round, found.device, found.verdict]).toSorted(),
    Array.from({ length: rounds }, (_, index) => [index + 1, device, 'accepted']),
  )
}

/** Since these counts a model and an update went through for each round, and no more than what torn connections cost. */
const assertOnlyTheRest = (since: { up: number; down: number }, rounds: number, torn: number): void => {
  const most = rounds * (modelBytes + besideBytes) + torn * tornBytes
  for (const direction of ['up', 'down'] as const) {
    const bytes = link.passed[direction] - since[direction]
    assert.ok(bytes < most, `${bytes} bytes ${direction}, at most ${most} are needed`)
  }
}

const shasOf = (detail: TaskDetail): (string | null)[] => detail.history.map(({ modelSha256 }) => modelSha256)

const short = { rounds: 1, localEpochs: 1 }
const long = { rounds: 2, localEpochs: 8 }
let overBadLink: TaskDetail
let restarted: TaskDetail

test('over a link of 1 Mbit/s that is cut in the middle of the model and of the update, only the rest is sent again', {
  timeout: 300_000,
}, async () => {
  link.throttle(125_000)
  link.cutAfter('down', modelBytes / 2)
  const { id } = await createTask({ version: versions.start, ...short })
  await using _agent = startAgent()
  await link.until('the pull is cut', () => link.cuts === 1)
  link.cutAfter('up', modelBytes / 2)
  overBadLink = await untilFinal(id)
  assert.equal(link.cuts, 2)
  await assertOnce(overBadLink, 1)
  assertOnlyTheRest({ up: 0, down: 0 }, 1, 1)
})

/** Share of the training that is done; 0 before it begins. */
const progress = async (): Promise<number> => {
  const socket = connect(join(folder, 'state', 'agent.sock'))
  const said = await text(socket).catch(() => '')
  return said === '' ? 0 : (JSON.parse(said).training?.progress ?? 0)
}

const untilTraining = async (share: number): Promise<void> => {
  const signal = AbortSignal.timeout(60_000)
  while ((await progress()) < share) await delay(20, undefined, { signal })
}

/** Waits until so much has passed since it was called. */
const untilPassed = (direction: 'up' | 'down', bytes: number): Promise<void> => {
  const from = link.passed[direction]
  return link.until(`${bytes} bytes ${direction}`, () => link.passed[direction] - from >= bytes)
}

const inPull = (): Promise<void> => untilPassed('down', modelBytes / 2)
const inTraining = (): Promise<void> => untilTraining(0.3)
const inPush = (): Promise<void> => untilPassed('up', modelBytes / 2)
/** The node has it all; its answer is lost. */
const beforeReceipt = (): Promise<void> => {
  const { down } = link.lost
  link.loseAnswerAfter(20_000)
  return link.until('an answer is lost', () => link.lost.down > down)
}

test('a device whose agent is ended ten times, in the pull, in training, in the push and before the receipt, takes part in each round once', {
  timeout: 300_000,
}, async () => {
  const passed = { ...link.passed }
  const { id } = await createTask({ version: versions.trained, ...long })
  const ends = [
    inPull,
    inPull,
    inTraining,
    inTraining,
    inPush,
    inPush,
    beforeReceipt,
    inPull,
    inTraining,
    beforeReceipt,
  ]
  for (const [index, phase] of ends.entries()) {
    await using agent = startAgent()
    if (phase === beforeReceipt) link.throttle(Number.POSITIVE_INFINITY)
    else link.throttle(600_000)
    await phase()
    agent.child.kill(index % 2 === 0 ? 'SIGKILL' : 'SIGTERM')
    assert.deepEqual(await agent.ended, index % 2 === 0 ? [null, 'SIGKILL'] : [0, null], phase.name)
    link.cut()
  }
  await using _agent = startAgent()
  restarted = await untilFinal(id)
  await assertOnce(restarted, 2)
  assertOnlyTheRest(passed, 2, 3)
})

test('undisturbed, the same tasks end with the same bytes', { timeout: 300_000 }, async () => {
  link.throttle(Number.POSITIVE_INFINITY)
  await using _agent = startAgent()
  const first = await untilFinal((await createTask({ version: versions.start, ...short })).id)
  assert.deepEqual(shasOf(first), shasOf(overBadLink))
  const second = await untilFinal((await createTask({ version: versions.trained, ...long })).id)
  assert.deepEqual(shasOf(second), shasOf(restarted))
})
